import { post, showError } from "./post.js";
import { make } from "./prompt_chips.js";
import { RegionEditor, sameRegion } from "./region_editor.js";

// Boxes and points that select. All viewers see and change the same; what this page adds and removes is shown at once,
// and sent again until the run has answered.

const HINTS = {
  box: "Drag on the picture to draw a box.",
  point: "Tap what to select.",
  exclude: "Tap what not to select.",
};
const KEYS = "Arrow keys move, with Shift in small steps; Enter sets a point or corner; Escape starts again.";

const byId = (id) => document.getElementById(id);
const whole = (values) => values.map((value) => Math.round(value)).join(", ");
const without = (regions, others) => regions.filter((region) => !others.some((other) => sameRegion(region, other)));

function describe({ box, point, label }) {
  if (box) return `box ${whole(box.slice(0, 2))} to ${whole(box.slice(2))}`;
  return `${label ? "point" : "not this"} ${whole(point)}`;
}

export class DrawnRegions {
  #current = []; // what the run has
  #adding = []; // what it has not answered yet, as the next
  #removing = [];
  #isBusy = false;
  #listed = "";
  #onSettings;
  #editor = new RegionEditor(byId("regions"), {
    onChange: (change) => this.#change(change),
    onCursor: (x, y, isBegun) => this.#showCursor(x, y, isBegun),
  });

  // `onSettings` is called with the settings that the run answers a change with.
  constructor(onSettings) {
    this.#onSettings = onSettings;
    byId("tools").addEventListener("click", ({ target }) => {
      const { tool } = target.dataset;
      if (tool !== undefined) this.#choose(this.#editor.tool === tool ? null : tool);
    });
    byId("undo").addEventListener("click", () => this.#editor.undo());
    byId("regions").addEventListener("focus", () => {
      if (byId("regions").matches(":focus-visible")) byId("draw-hint").textContent = KEYS;
    });
    byId("clear").addEventListener("click", () => this.#editor.clear());
  }

  get shown() {
    return this.#editor.regions;
  }

  // Set the size of the frame, px.
  set size(size) {
    this.#editor.size = size;
  }

  // Show the regions of the run; null: it has none that can be changed.
  setCurrent(regions) {
    byId("tools").hidden = regions === null;
    if (regions === null) this.#choose(null);
    this.#current = regions ?? [];
    this.#render();
    this.#send();
  }

  #choose(tool) {
    if (this.#editor.tool === tool) return;
    this.#editor.tool = tool;
    byId("draw-hint").textContent = HINTS[tool] ?? "";
    for (const button of byId("tools").querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    }
  }

  #showCursor(x, y, isBegun) {
    const next = this.#editor.tool !== "box" ? "Enter sets the point." : `Enter sets the ${isBegun ? "other" : "first"} corner.`;
    byId("draw-hint").textContent = `x ${Math.round(x)}, y ${Math.round(y)}. ${next}`;
  }

  #change({ added, removed }) {
    this.#adding = [...without(this.#adding, removed), ...added];
    this.#removing = [...without(this.#removing, added), ...removed];
    showError(byId("drawn-error"), "");
    this.#render();
    this.#send();
  }

  async #send() {
    if (this.#isBusy || this.#adding.length + this.#removing.length === 0) return;
    const sent = { add: this.#adding, remove: this.#removing };
    this.#isBusy = true;
    const { settings, error, again } = await post("regions", sent);
    this.#isBusy = false;
    byId("drawn-waiting").hidden = !again;
    if (again) {
      this.#render(); // the next status shows that there is a connection
      return;
    }
    this.#adding = without(this.#adding, sent.add);
    this.#removing = without(this.#removing, sent.remove);
    showError(byId("drawn-error"), error);
    if (settings !== null) this.#onSettings(settings);
    this.#render();
    this.#send(); // what was drawn meanwhile
  }

  #render() {
    const regions = [...without(without(this.#current, this.#removing), this.#adding), ...this.#adding];
    const text = JSON.stringify(regions);
    byId("undo").disabled = !this.#editor.canUndo;
    if (text === this.#listed) return;
    this.#listed = text;
    this.#editor.regions = regions;
    byId("undo").disabled = !this.#editor.canUndo;
    byId("clear").disabled = regions.length === 0;
    byId("drawn").hidden = regions.length === 0;
    byId("drawn-list").replaceChildren(...regions.map((region) => this.#chip(region)));
  }

  #chip(region) {
    const chip = document.createElement("li");
    const button = make("button", "×");
    button.type = "button";
    button.setAttribute("aria-label", `remove ${describe(region)}`);
    button.addEventListener("click", () => {
      const index = [...byId("drawn-list").children].indexOf(chip);
      this.#editor.remove(region);
      const left = byId("drawn-list").querySelectorAll("button");
      (left[Math.min(index, left.length - 1)] ?? byId("tools").querySelector("button")).focus();
    });
    chip.append(make("span", describe(region)), button);
    return chip;
  }
}
