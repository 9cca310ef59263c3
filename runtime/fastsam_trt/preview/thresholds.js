import { post, showError } from "./post.js";

// Sliders for the thresholds of the run. All viewers see and change the same values.

const NAMES = ["conf", "threshold"];

const byId = (id) => document.getElementById(id);
const shown = (value) => String(Math.round(value * 1000) / 1000);

export class Thresholds {
  #current = {};
  #wanted = {}; // what was moved and is not yet answered
  #isBusy = false;
  #onSettings;

  // `onSettings` is called with the settings that the run answers a change with.
  constructor(onSettings) {
    this.#onSettings = onSettings;
    for (const name of NAMES) {
      byId(name).addEventListener("input", () => {
        this.#wanted[name] = Number(byId(name).value);
        this.#render();
        this.#send();
      });
    }
  }

  // Show the thresholds of the run; null: they can't be changed.
  setCurrent(thresholds) {
    byId("thresholds").hidden = thresholds === null;
    this.#current = thresholds ?? {};
    this.#render();
  }

  async #send() {
    if (this.#isBusy || Object.keys(this.#wanted).length === 0) return;
    const sent = { ...this.#wanted };
    this.#isBusy = true;
    const { settings, error } = await post("thresholds", sent);
    this.#isBusy = false;
    for (const name of NAMES) if (this.#wanted[name] === sent[name]) delete this.#wanted[name];
    showError(byId("thresholds-error"), error);
    if (settings !== null) this.#onSettings(settings);
    this.#render();
    this.#send(); // where a slider was moved to meanwhile
  }

  #render() {
    for (const name of NAMES) {
      const value = this.#wanted[name] ?? this.#current[name];
      if (typeof value !== "number") continue;
      byId(`${name}-value`).textContent = shown(value);
      if (Number(byId(name).value) !== value) byId(name).value = value;
    }
  }
}
