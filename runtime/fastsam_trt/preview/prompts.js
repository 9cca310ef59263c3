import { NO_CONNECTION, post, showError } from "./post.js";
import { PromptChips, same } from "./prompt_chips.js";

// The texts that select. They are edited as chips and apply when the form is sent.

const byId = (id) => document.getElementById(id);

export class Prompts {
  #current = [];
  #isBusy = false;
  #applyAgain = false;
  #onSettings;
  #chips = new PromptChips(byId("box"), () => this.#render());

  // `onSettings` is called with the settings that the run answers a change with.
  constructor(onSettings) {
    this.#onSettings = onSettings;
    byId("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#chips.addTyped();
      this.#apply();
    });
    byId("prompt").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#reset();
    });
    this.#chips.texts = [];
    this.#render();
  }

  setCurrent(texts) {
    const unedited = !this.#isEdited();
    if (same(texts, this.#current)) return;
    this.#current = texts;
    if (unedited && !this.#isBusy) this.#chips.texts = texts;
    this.#render();
  }

  #isEdited() {
    return !same(this.#chips.texts, this.#current) || this.#chips.typed !== "";
  }

  #reset() {
    this.#chips.reset(this.#current);
    showError(byId("error"), "");
    this.#render();
  }

  async #apply() {
    if (this.#isBusy) {
      this.#applyAgain = true;
      return;
    }
    const sent = this.#chips.texts;
    this.#isBusy = true;
    showError(byId("error"), "");
    this.#render();
    const { settings, error } = await post("prompts", { prompts: sent });
    if (settings !== null) {
      this.#current = settings.prompts;
      if (!error && same(this.#chips.texts, sent)) this.#chips.texts = settings.prompts; // else it was edited meanwhile
      this.#onSettings(settings);
    }
    showError(byId("error"), error === NO_CONNECTION ? `${error} The prompts were not changed.` : error);
    this.#isBusy = false;
    this.#render();
    if (this.#applyAgain) {
      this.#applyAgain = false;
      if (this.#isEdited()) this.#apply();
    }
  }

  #render() {
    byId("apply").disabled = !this.#isEdited(); // a disabled button ignores Enter in the field
    const current = this.#current.length ? this.#current.join(", ") : "none";
    byId("hint").textContent = this.#isBusy
      ? "applying…"
      : this.#isEdited()
        ? `Not applied yet. Current prompts: ${current}`
        : "Separate prompts with commas. Without prompts, boxes and points everything is selected.";
  }
}
