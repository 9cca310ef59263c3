// Draw boxes and points on an image with a mouse, a pen, a finger or the keyboard. Coordinates are px of the image.

const MOVED_PX = 6; // css px; a pointer that moves less taps
const STEP = { coarse: 1 / 32, fine: 1 / 320 }; // of the image's side, for arrow keys without and with Shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SVG = "http://www.w3.org/2000/svg";

const rounded = (value) => Math.round(value * 10) / 10;
const within = (value, most) => rounded(Math.min(Math.max(value, 0), most));
const boxOf = ([x, y], [u, v]) => [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)];
const hasArea = ([x0, y0, x1, y1]) => x0 < x1 && y0 < y1;

// Whether two regions are the same box, or the same point with the same label.
export const sameRegion = (one, other) =>
  one.label === other.label && JSON.stringify(one.box ?? one.point) === JSON.stringify(other.box ?? other.point);

export class RegionEditor {
  #regions = []; // { box: [x0, y0, x1, y1] } or { point: [x, y], label: 1 or 0 }
  #drawn = []; // those that were drawn here, in this order: what undo removes
  #layer;
  #onChange;
  #onTap;
  #onCursor;
  #tool = null;
  #size = { width: 1, height: 1 };
  #pointer = null; // the one that draws; others are ignored until it ends
  #cursor = null; // of the keyboard
  #corner = null; // the first of a box, if the keyboard draws one
  #draft = null;

  // `layer` is an SVG element that covers the image exactly. `onChange` is called with the lists `added` and `removed`
  // after every change by the user, `onTap` with x and y of a tap where no tool is chosen, or the tool is the box, and
  // `onCursor` with x and y where the keyboard's cursor moved to, and whether a box has been begun.
  constructor(layer, { onChange, onTap = () => {}, onCursor = () => {} }) {
    this.#layer = layer;
    this.#onChange = onChange;
    this.#onTap = onTap;
    this.#onCursor = onCursor;
    layer.setAttribute("preserveAspectRatio", "none");
    layer.addEventListener("pointerdown", (event) => this.#begin(event));
    layer.addEventListener("pointermove", (event) => this.#move(event));
    layer.addEventListener("pointerup", (event) => this.#end(event));
    for (const kind of ["pointercancel", "lostpointercapture"]) {
      layer.addEventListener(kind, ({ pointerId }) => {
        if (pointerId === this.#pointer?.id) this.#cancel();
      });
    }
    layer.addEventListener("keydown", (event) => this.#press(event));
    layer.addEventListener("blur", () => {
      if (this.#pointer === null) this.#cancel();
    });
    this.tool = null;
  }

  // A tool is "box", "point", "exclude" or null. Without one a finger scrolls the page, and keys do nothing here.
  set tool(tool) {
    this.#tool = tool;
    this.#layer.style.touchAction = tool === null ? "auto" : "none";
    this.#layer.style.cursor = tool === null ? "default" : "crosshair";
    this.#layer.setAttribute("role", tool === null ? "img" : "application"); // screen readers pass keys to the latter
    if (tool === null) this.#layer.removeAttribute("tabindex");
    else this.#layer.setAttribute("tabindex", "0");
    this.#cancel();
  }

  get tool() {
    return this.#tool;
  }

  set size({ width, height }) {
    if (width === this.#size.width && height === this.#size.height) return;
    this.#size = { width, height };
    this.#layer.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#cancel(); // what was begun on an image of another size lies elsewhere in this one
  }

  // Setting the regions calls nothing.
  set regions(regions) {
    this.#regions = [...regions];
    this.#render();
  }

  get regions() {
    return [...this.#regions];
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

  get canUndo() {
    return this.#drawn.some((region) => this.#has(region));
  }

  // Remove what was drawn last here and is still there.
  undo() {
    while (this.#drawn.length) {
      const region = this.#drawn.pop();
      if (this.#has(region)) return this.remove(region);
    }
  }

  remove(region) {
    this.#regions = this.#regions.filter((other) => !sameRegion(region, other));
    this.#changed([], [region]);
  }

  clear() {
    const removed = this.#regions;
    if (removed.length === 0) return;
    this.#regions = [];
    this.#drawn = [];
    this.#changed([], removed);
  }

  #has(region) {
    return this.#regions.some((other) => sameRegion(region, other));
  }

  #changed(added, removed) {
    this.#render();
    this.#onChange({ added, removed });
  }

  // px of the image, inside it; null if the layer is not shown
  #at({ clientX, clientY }) {
    const { left, top, width, height } = this.#layer.getBoundingClientRect();
    if (width === 0 || height === 0) return null;
    const { width: most, height: lowest } = this.#size;
    return [within(((clientX - left) / width) * most, most), within(((clientY - top) / height) * lowest, lowest)];
  }

  // The pointer is captured: a drag that leaves the layer or the window goes on, and its end is told.
  #begin(event) {
    if (this.#pointer !== null || event.button !== 0 || !event.isPrimary) return;
    const at = this.#at(event);
    if (at === null) return;
    this.#cancel();
    this.#pointer = { id: event.pointerId, client: [event.clientX, event.clientY], at, moved: false };
    this.#layer.setPointerCapture(event.pointerId);
    if (this.#tool !== null) event.preventDefault();
  }

  #move(event) {
    if (event.pointerId !== this.#pointer?.id) return;
    this.#pointer.moved ||= this.#isFar(event);
    if (this.#tool !== "box" || !this.#pointer.moved) return;
    this.#draft = boxOf(this.#pointer.at, this.#at(event) ?? this.#pointer.at);
    this.#render();
  }

  #end(event) {
    if (event.pointerId !== this.#pointer?.id) return;
    const { at } = this.#pointer;
    const moved = this.#pointer.moved || this.#isFar(event); // a quick drag may come without a move
    const end = this.#at(event) ?? at;
    this.#cancel();
    if (this.#tool === "box" && moved) this.#add({ box: boxOf(at, end) });
    else if (this.#tool === "point" || this.#tool === "exclude") this.#addPoint(at);
    else if (!moved) this.#onTap(...at);
  }

  #isFar({ clientX, clientY }) {
    const [x, y] = this.#pointer.client;
    return Math.hypot(clientX - x, clientY - y) > MOVED_PX;
  }

  #press(event) {
    if (this.#tool === null || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in ARROWS) this.#step(ARROWS[event.key], event.shiftKey ? STEP.fine : STEP.coarse);
    else if (event.key === "Enter" || event.key === " ") this.#place();
    else if (event.key === "Escape" && (this.#draft !== null || this.#corner !== null)) this.#cancel();
    else return;
    event.preventDefault();
  }

  #step([right, down], share) {
    const { width, height } = this.#size;
    const [x, y] = this.#cursor ?? [width / 2, height / 2];
    const length = Math.max(Math.max(width, height) * share, 0.1);
    this.#cursor = [within(x + right * length, width), within(y + down * length, height)];
    this.#draft = this.#corner === null ? null : boxOf(this.#corner, this.#cursor);
    this.#render();
    this.#onCursor(...this.#cursor, this.#corner !== null);
  }

  // A key sets a point, or one corner of a box and then the other.
  #place() {
    const at = this.#cursor ?? [this.#size.width / 2, this.#size.height / 2].map(rounded);
    const corner = this.#corner;
    this.#cursor = at;
    this.#corner = this.#draft = null;
    if (this.#tool !== "box") this.#addPoint(at);
    else if (corner !== null) this.#add({ box: boxOf(corner, at) });
    else this.#corner = at;
    this.#render();
    this.#onCursor(...at, this.#corner !== null);
  }

  #cancel() {
    this.#pointer = this.#cursor = this.#corner = this.#draft = null;
    this.#render();
  }

  #addPoint(at) {
    const { width, height } = this.#size;
    const point = [Math.min(at[0], width - 0.1), Math.min(at[1], height - 0.1)].map(rounded); // inside its last pixel
    this.#add({ point, label: this.#tool === "point" ? 1 : 0 });
  }

  #add(region) {
    if ((region.box && !hasArea(region.box)) || this.#has(region)) return;
    this.#regions.push(region);
    this.#drawn.push(region);
    this.#changed([region], []);
  }

  // Each is drawn twice, dark below light, so that it is seen on any image.
  #render() {
    const shapes = this.#regions.map((region) => (region.box ? rectangle(region.box) : dot(region.point, region.label)));
    if (this.#draft !== null) shapes.push(rectangle(this.#draft));
    if (this.#cursor !== null) shapes.push(cross(this.#cursor, this.#size));
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

function cross([x, y], { width, height }) {
  const attributes = { d: `M0 ${y}H${width}M${x} 0V${height}` };
  return [shape("path", attributes, "region cross below"), shape("path", attributes, "region cross")];
}

function shape(tag, attributes, className) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries({ ...attributes, class: className })) made.setAttribute(name, value);
  return made;
}
