import { NO_CONNECTION, showError } from "./post.js";
import { make } from "./prompt_chips.js";

// The picture of a frame and the table of its segments. Both come in one message and change together.

const SAVED_QUALITY = 0.92;
const REVOKE_AFTER_MS = 60_000;
const MARK = { line: 2.5, below: 5, dot: 5.5, dotBelow: 8, dash: [7, 4] }; // px of the page, as in base.css

const byId = (id) => document.getElementById(id);
const fixed = (value, digits) => (typeof value === "number" ? value.toFixed(digits) : "-");

// A message is the length of a JSON document, four bytes, then the document, then the JPEG.
function parse(data) {
  const length = new DataView(data).getUint32(0);
  const described = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  return { ...described, blob: new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }), url: "", line: null };
}

export class ShownImage {
  #shown = null;
  #isPaused = false;
  #rows = "";
  #regions;
  #onShow;
  #onResume;

  // `regions` returns what is drawn, to save it with the picture. `onShow` is called with the size of a frame when its
  // picture is shown, `onResume` when images are wanted again.
  constructor({ regions, onShow, onResume }) {
    this.#regions = regions;
    this.#onShow = onShow;
    this.#onResume = onResume;
    byId("pause").addEventListener("click", () => (this.#isPaused ? this.resume() : this.pause()));
    byId("save-image").addEventListener("click", () => this.#saveImage());
    byId("save-json").addEventListener("click", () => this.#saveLine());
  }

  get isPaused() {
    return this.#isPaused;
  }

  // Show the image of a message once it is decoded.
  async take(data) {
    const image = parse(data);
    image.url = URL.createObjectURL(image.blob);
    const picture = new Image();
    picture.src = image.url;
    try {
      await picture.decode(); // before the old picture goes, so that the table changes with it
    } catch {
      URL.revokeObjectURL(image.url);
      return; // the next image may be fine
    }
    if (this.#isPaused) URL.revokeObjectURL(image.url); // it was requested before
    else this.#show(image, picture);
  }

  // Hold this picture. The run goes on, and draws nothing for this page.
  pause() {
    if (this.#isPaused || this.#shown === null) return;
    this.#isPaused = true;
    this.#line().catch(() => {}); // now, since a lost connection would lose it
    this.#showPaused();
  }

  resume() {
    this.#isPaused = false;
    this.#shown.line = null;
    showError(byId("image-error"), "");
    this.#showPaused();
    this.#onResume();
  }

  #show(image, picture) {
    const old = byId("image");
    Object.assign(picture, { id: "image", alt: old.alt, draggable: false });
    old.replaceWith(picture);
    if (this.#shown !== null) URL.revokeObjectURL(this.#shown.url);
    this.#shown = image;
    const [height, width] = image.size;
    byId("picture").style.setProperty("--aspect", width / height);
    byId("picture").hidden = false;
    byId("empty").hidden = true;
    for (const id of ["pause", "save-image", "save-json"]) byId(id).disabled = false;
    this.#onShow({ width, height });
    this.#showSelected(image.selected, image.count);
  }

  #showPaused() {
    byId("pause").textContent = this.#isPaused ? "Resume" : "Pause";
    const frame = this.#shown.frame.toLocaleString("en");
    byId("image-hint").textContent = this.#isPaused ? `Paused at frame ${frame}. The run goes on.` : "";
  }

  #showSelected(rows, count) {
    byId("count").textContent = count;
    byId("more").textContent = count > rows.length ? `and ${count - rows.length} more` : count === 0 ? "nothing selected" : "";
    const text = JSON.stringify(rows);
    if (text === this.#rows) return;
    this.#rows = text;
    byId("selected").hidden = rows.length === 0;
    byId("selected").tBodies[0].replaceChildren(
      ...rows.map(([name, similarity, score, track]) => {
        const row = document.createElement("tr");
        row.append(
          make("td", name ?? "segment"),
          make("td", fixed(similarity, 2), "n"),
          make("td", fixed(score, 2), "n"),
          make("td", track ?? "-", "n"),
        );
        return row;
      }),
    );
  }

  // ---- what is saved is the picture that was shown at the click, which is held -----------------------------------------

  async #saveImage() {
    this.pause();
    const { blob, frame } = this.#shown;
    save(this.#regions().length ? await this.#withRegions() : blob, `frame-${frame}.jpg`);
  }

  async #saveLine() {
    this.pause();
    const { frame } = this.#shown;
    try {
      save(new Blob([await this.#line()], { type: "application/json" }), `frame-${frame}.json`);
      showError(byId("image-error"), "");
    } catch (error) {
      showError(byId("image-error"), error instanceof TypeError ? NO_CONNECTION : error.message);
    }
  }

  // The frame as `--json` writes it.
  #line() {
    const shown = this.#shown;
    shown.line ??= fetchLine(shown.number).catch((error) => {
      shown.line = null; // the next try may succeed
      throw error;
    });
    return shown.line;
  }

  #withRegions() {
    const picture = byId("image");
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    const [height, width] = this.#shown.size;
    const zoom = canvas.width / (picture.clientWidth || canvas.width);
    for (const region of this.#regions()) mark(context, region, canvas.width / width, canvas.height / height, zoom);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", SAVED_QUALITY));
  }
}

async function fetchLine(number) {
  const response = await fetch(`images/${number}.json`);
  if (!response.ok) throw new Error("The run no longer has this frame. Resume, and save another.");
  return response.text();
}

function save(blob, name) {
  const link = make("a", "");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), REVOKE_AFTER_MS);
}

// Draw a region on a canvas; `x` and `y` are px of the canvas per px of the frame, `zoom` per px of the page.
function mark(context, { box, point, label }, x, y, zoom) {
  if (box) {
    const [x0, y0, x1, y1] = box;
    for (const [colour, width, dash] of [["#0009", MARK.below, []], ["#fff", MARK.line, MARK.dash]]) {
      Object.assign(context, { strokeStyle: colour, lineWidth: width * zoom });
      context.setLineDash(dash.map((length) => length * zoom));
      context.strokeRect(x0 * x, y0 * y, (x1 - x0) * x, (y1 - y0) * y);
    }
    return;
  }
  for (const [colour, radius] of [["#0009", MARK.dotBelow], [label ? "#3fb950" : "#ff5c50", MARK.dot]]) {
    context.fillStyle = colour;
    context.beginPath();
    context.arc(point[0] * x, point[1] * y, radius * zoom, 0, 2 * Math.PI);
    context.fill();
  }
}
