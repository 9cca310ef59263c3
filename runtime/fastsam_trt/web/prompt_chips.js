// A field for several texts. Each becomes a chip; a comma ends a text, and Backspace in the empty field removes the last.
// Texts enter the page as text nodes only, never as HTML.

export const make = (tag, text, className = "") => Object.assign(document.createElement(tag), { textContent: text, className });
export const same = (one, other) => one.length === other.length && one.every((text, index) => text === other[index]);

export class PromptChips {
  #texts = [];
  #list;
  #input;
  #onChange;

  // `box` holds a list and an input; `onChange` is called after every change by the user.
  constructor(box, onChange) {
    this.#list = box.querySelector("ul");
    this.#input = box.querySelector("input");
    this.#onChange = onChange;
    box.addEventListener("click", (event) => {
      if (event.target === box) this.#input.focus();
    });
    this.#input.addEventListener("input", () => {
      if (this.#input.value.includes(",")) this.addTyped();
      this.#onChange();
    });
    this.#input.addEventListener("keydown", (event) => {
      if (event.key === "Backspace" && this.#input.value === "" && this.#texts.length) this.#remove(this.#texts.length - 1);
    });
  }

  get texts() {
    return [...this.#texts];
  }

  set texts(texts) {
    this.#texts = [...texts];
    this.#render();
  }

  get typed() {
    return this.#input.value.trim();
  }

  // Make chips of what is typed.
  addTyped() {
    const texts = this.#input.value.split(",").map((text) => text.trim().replace(/\s+/g, " "));
    this.#input.value = "";
    this.texts = [...new Set([...this.#texts, ...texts.filter((text) => text !== "")])];
    this.#onChange();
  }

  reset(texts) {
    this.#input.value = "";
    this.texts = texts;
  }

  #remove(index) {
    this.#texts.splice(index, 1);
    this.#input.focus();
    this.#render();
    this.#onChange();
  }

  #render() {
    this.#list.replaceChildren(
      ...this.#texts.map((text, index) => {
        const chip = document.createElement("li");
        const button = make("button", "×");
        button.type = "button";
        button.setAttribute("aria-label", `remove ${text}`);
        button.addEventListener("click", () => this.#remove(index));
        chip.append(make("span", text), button);
        return chip;
      }),
    );
    this.#input.placeholder = this.#texts.length ? "add another" : (this.#input.dataset.placeholder ?? "what to select");
  }
}
