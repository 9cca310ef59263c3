// Draw boxes and points on an image with a mouse, a pen or a finger. Coordinates are px of the image.

const MOVED_PX = 6; // css px; a pointer that moves less taps
const SVG = "http://www.w3.org/2000/svg";

const rounded = (value) => Math.round(value * 10) / 10;

export class RegionEditor {
  #regions = []; // in the order they were drawn: { box: [x0, y0, x1, y1] } or { point: [x, y], label: 1 or 0 }
  #layer;
  #onChange;
  #onTap;
  #tool = null;
  #size = { width: 1, height: 1 };
  #start = null;
  #draft = null;

  // `layer` is an SVG element that covers the image. `onChange` is called when a region is added or removed,
  // `onTap` with x and y of a tap where no tool is chosen, or the tool is the box.
  constructor(layer, { onChange, onTap = () => {} }) {
    this.#layer = layer;
    this.#onChange = onChange;
    this.#onTap = onTap;
    layer.addEventListener("pointerdown", (event) => this.#begin(event));
    layer.addEventListener("pointermove", (event) => this.#move(event));
    layer.addEventListener("pointerup", (event) => this.#end(event));
    layer.addEventListener("pointercancel", () => this.#cancel());
  }

  // A tool is "box", "point", "exclude" or null. Without one, a finger scrolls the page.
  set tool(tool) {
    this.#tool = tool;
    this.#layer.style.touchAction = tool === null ? "auto" : "none";
    this.#layer.style.cursor = tool === null ? "default" : "crosshair";
  }

  get tool() {
    return this.#tool;
  }

  set size({ width, height }) {
    this.#size = { width, height };
    this.#layer.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#render();
  }

  get boxes() {
    return this.#regions.filter((region) => region.box).map((region) => region.box);
  }

  get points() {
    return this.#regions.filter((region) => region.point).map((region) => region.point);
  }

  get pointLabels() {
    return this.#regions.filter((region) => region.point).map((region) => region.label);
  }

  get count() {
    return this.#regions.length;
  }

  undo() {
    this.#regions.pop();
    this.#changed();
  }

  clear() {
    if (this.#regions.length === 0) return;
    this.#regions = [];
    this.#changed();
  }

  #changed() {
    this.#render();
    this.#onChange();
  }

  // px of the image, inside it
  #at(event) {
    const matrix = this.#layer.getScreenCTM();
    if (matrix === null) return [0, 0];
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    const inside = (value, most) => rounded(Math.min(Math.max(value, 0), most));
    return [inside(x, this.#size.width), inside(y, this.#size.height)];
  }

  #begin(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    this.#start = { client: [event.clientX, event.clientY], at: this.#at(event), moved: false };
    if (this.#tool !== null) {
      this.#layer.setPointerCapture(event.pointerId);
      event.preventDefault();
    }
  }

  #move(event) {
    if (this.#start === null || !event.isPrimary) return;
    const [x, y] = this.#start.client;
    this.#start.moved ||= Math.hypot(event.clientX - x, event.clientY - y) > MOVED_PX;
    if (this.#tool !== "box" || !this.#start.moved) return;
    this.#draft = this.#boxTo(event);
    this.#render();
  }

  #end(event) {
    if (this.#start === null || !event.isPrimary) return;
    const { at, moved } = this.#start;
    const box = this.#boxTo(event);
    this.#cancel();
    if (this.#tool === "box" && moved) {
      if (box[0] < box[2] && box[1] < box[3]) this.#add({ box });
    } else if (this.#tool === "point" || this.#tool === "exclude") {
      const point = [Math.min(at[0], this.#size.width - 0.1), Math.min(at[1], this.#size.height - 0.1)].map(rounded);
      this.#add({ point, label: this.#tool === "point" ? 1 : 0 });
    } else if (!moved) {
      this.#onTap(...at);
    }
  }

  #cancel() {
    this.#start = this.#draft = null;
    this.#render();
  }

  #add(region) {
    this.#regions.push(region);
    this.#changed();
  }

  #boxTo(event) {
    const [[x, y], [u, v]] = [this.#start.at, this.#at(event)];
    return [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)];
  }

  // Each is drawn twice, dark below light, so that it is seen on any image.
  #render() {
    const shapes = this.#regions.map((region) => (region.box ? rectangle(region.box) : dot(region.point, region.label)));
    if (this.#draft !== null) shapes.push(rectangle(this.#draft));
    this.#layer.replaceChildren(...shapes.flat());
  }
}

function rectangle([x0, y0, x1, y1]) {
  const attributes = { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
  return [shape("rect", attributes, "region below"), shape("rect", attributes, "region box")];
}

// A line without length with round ends is a dot whose size does not depend on the zoom.
function dot([x, y], label) {
  const attributes = { d: `M${x} ${y}h0` };
  return [shape("path", attributes, "region dot below"), shape("path", attributes, `region dot ${label ? "on" : "off"}`)];
}

function shape(tag, attributes, className) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries({ ...attributes, class: className })) made.setAttribute(name, value);
  return made;
}
