import { cssColour, drawOverlay, SegmentMap } from "./overlay.js";
import { make, PromptChips } from "./prompt_chips.js";
import { RegionEditor } from "./region_editor.js";

// Text from the server enters the page as text nodes only, never as HTML.
const MOST_ROWS = 100;
const LONGEST_OVERLAY_PX = 2000;
const TOKEN = "fastsam-trt token";

const byId = (id) => document.getElementById(id);
const fixed = (value, digits) => (typeof value === "number" ? value.toFixed(digits) : "-");

let photo = null; // the file
let shownUrl = "";
let isReadable = true; // whether the browser shows the photo itself, upright as the server has it
let answer = null;
let map = null;
let chosen = -1;
let asking = null; // aborts the request in progress
let changed = new Set(); // options that the user has set; the others keep the server's defaults

const regions = new RegionEditor(byId("regions"), { onChange: regionsChanged, onTap: choose });
const prompts = new PromptChips(byId("prompts"), () => {});
const excluded = new PromptChips(byId("excluded"), () => {});

// ---- requests --------------------------------------------------------------------------------------------------------

async function send(path, body, signal) {
  const token = byId("token").value.trim();
  const response = await fetch(path, {
    method: body ? "POST" : "GET",
    body,
    signal,
    headers: token === "" ? {} : { Authorization: `Bearer ${token}` },
  });
  if (response.ok) {
    if (token !== "") sessionStorage.setItem(TOKEN, token);
    return response;
  }
  if (response.status === 401) byId("token-part").hidden = false;
  let detail = `${response.status} ${response.statusText}`;
  try {
    ({ detail } = await response.json());
  } catch {
    // it was no answer of this server
  }
  throw new Error(detail);
}

// The fields of the request, as pairs of name and text.
function fields() {
  const listed = (name, values) => values.map((value) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
  return [
    ...listed("prompts", prompts.texts),
    ...listed("excluded", excluded.texts),
    ...listed("boxes", regions.boxes),
    ...listed("points", regions.points),
    ...listed("point_labels", regions.pointLabels.includes(0) ? regions.pointLabels : []),
    ...["conf", "threshold"].filter((name) => changed.has(name)).map((name) => [name, byId(name).value]),
  ];
}

function form(more) {
  const made = new FormData();
  for (const [name, value] of [...fields(), ...more]) made.append(name, value);
  made.append("image", photo, "photo");
  return made;
}

async function segment() {
  prompts.addTyped();
  excluded.addTyped();
  if (photo === null) return;
  asking?.abort();
  const request = new AbortController();
  asking = request;
  showError("");
  byId("busy").hidden = false;
  try {
    const response = await send("v1/segment", form([["output", "json"]]), request.signal);
    const found = await response.json();
    if (asking !== request) return;
    await show(found, request.signal);
  } catch (error) {
    if (asking !== request) return; // a newer request has replaced it
    answer = map = null;
    redraw();
    showError(error instanceof TypeError ? "No connection to the server." : error.message);
    byId("result").hidden = true;
  }
  if (asking === request) {
    asking = null;
    byId("busy").hidden = true;
  }
}

// ---- the photo -------------------------------------------------------------------------------------------------------

async function take(file) {
  if (!file) return;
  asking?.abort();
  asking = null;
  photo = file;
  answer = map = null;
  regions.tool = null;
  showTool();
  byId("result").hidden = true;
  byId("select").disabled = false;
  byId("other").hidden = false;
  await showImage(file);
  regions.clear();
  await segment();
}

async function showImage(blob) {
  const image = byId("image");
  const url = URL.createObjectURL(blob);
  image.src = url;
  isReadable = true;
  try {
    await image.decode();
    regions.size = { width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    isReadable = false; // for example HEIC: the server's picture is shown instead
  }
  URL.revokeObjectURL(shownUrl);
  shownUrl = url;
  byId("drop").hidden = isReadable;
  byId("photo").hidden = !isReadable;
  redraw();
}

async function show(found, signal) {
  const [height, width] = found.size;
  const image = byId("image");
  const isOwn = isReadable && image.naturalWidth === width && image.naturalHeight === height;
  answer = found;
  chosen = -1;
  map = null;
  if (!isOwn) {
    const drawn = await send("v1/segment", form([["output", "overlay-jpeg"]]), signal);
    await showImage(await drawn.blob());
    isReadable = false; // the overlay is in the picture
    regions.size = { width, height };
  }
  showSelected();
  redraw();
}

// ---- the answer ------------------------------------------------------------------------------------------------------

const nameOf = (segment) => segment.prompt ?? segment.label ?? "segment";
const labelOf = (segment) => `${segment.prompt ?? segment.label ?? ""} ${fixed(segment.similarity ?? segment.score, 2)}`.trim();

// Colours are those of prompts if there are several, else those of classes, else one per segment.
function colourKeys(segments) {
  const names = segments.map((segment) => (prompts.texts.length > 1 ? segment.prompt : segment.label));
  const known = [...new Set(names)];
  return segments.map((segment, index) => (known.length > 1 ? known.indexOf(names[index]) : index));
}

function redraw() {
  const canvas = byId("overlay");
  const image = byId("image");
  canvas.hidden = answer === null || !isReadable;
  if (canvas.hidden || image.clientWidth === 0) return;
  const zoom = Math.min(window.devicePixelRatio || 1, LONGEST_OVERLAY_PX / Math.max(image.clientWidth, image.clientHeight));
  const [columns, rows] = [image.clientWidth, image.clientHeight].map((side) => Math.max(Math.round(side * zoom), 1));
  if (map === null || map.columns !== columns || map.rows !== rows) {
    map = new SegmentMap(answer.segments, answer.size, columns, rows);
  }
  drawOverlay(canvas, map, answer.segments, colourKeys(answer.segments), answer.segments.map(labelOf), chosen);
}

function showSelected() {
  const { segments, ms } = answer;
  const keys = colourKeys(segments);
  byId("result").hidden = false;
  byId("count").textContent = countText(segments.length);
  byId("selected").hidden = segments.length === 0;
  byId("selected").tBodies[0].replaceChildren(
    ...segments.slice(0, MOST_ROWS).map((segment, index) => {
      const line = document.createElement("tr");
      const name = make("td", "");
      const swatch = make("span", "", "swatch");
      swatch.style.background = cssColour(keys[index]);
      name.append(swatch, nameOf(segment));
      line.append(name, make("td", fixed(segment.similarity, 2), "n"), make("td", fixed(segment.score, 2), "n"));
      line.addEventListener("click", () => highlight(chosen === index ? -1 : index));
      return line;
    }),
  );
  const stages = Object.entries(ms).filter(([stage, value]) => stage !== "total" && value >= 0.5);
  byId("times").textContent = `${fixed(ms.total, 0)} ms: ${stages.map(([stage, value]) => `${stage} ${fixed(value, 0)}`).join(", ")}`;
  byId("command").textContent = command();
}

function countText(count) {
  if (count === 0) return "nothing";
  return count > MOST_ROWS ? `${count}, the first ${MOST_ROWS} listed` : count;
}

function highlight(index) {
  chosen = index;
  [...byId("selected").tBodies[0].rows].forEach((row, number) => row.classList.toggle("chosen", number === index));
  redraw();
}

// A tap on the photo highlights the segment there.
function choose(x, y) {
  if (map === null) return;
  const [height, width] = answer.size;
  const found = map.at(x / width, y / height);
  highlight(found === chosen ? -1 : found);
}

function command() {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const secret = byId("token").value.trim() === "" ? [] : [`-H ${quoted("Authorization: Bearer …")}`];
  const given = fields().map(([name, value]) => `-F ${quoted(`${name}=${value}`)}`);
  return ["curl", ...secret, "-F image=@photo.jpg", ...given, `${location.origin}/v1/segment`].join(" ");
}

function showError(text) {
  byId("error").textContent = text;
  byId("error").hidden = text === "";
}

async function save(output, name) {
  try {
    const response = await send("v1/segment", form([["output", output]]));
    const link = make("a", "");
    link.href = URL.createObjectURL(await response.blob());
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    showError(error.message);
  }
}

// ---- what the user does ----------------------------------------------------------------------------------------------

function regionsChanged() {
  byId("undo").disabled = byId("clear").disabled = regions.count === 0;
  if (photo !== null && answer !== null) segment();
}

function showTool() {
  for (const button of byId("tools").querySelectorAll("[data-tool]")) {
    button.setAttribute("aria-pressed", String(button.dataset.tool === regions.tool));
  }
}

byId("tools").addEventListener("click", ({ target }) => {
  const { tool } = target.dataset;
  if (tool === undefined) return;
  regions.tool = regions.tool === tool ? null : tool;
  showTool();
});
byId("undo").addEventListener("click", () => regions.undo());
byId("clear").addEventListener("click", () => regions.clear());
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  segment();
});
for (const name of ["conf", "threshold"]) {
  const shown = () => {
    byId(`${name}-shown`).textContent = changed.has(name) ? byId(name).value : "default";
  };
  byId(name).addEventListener("input", () => {
    changed.add(name);
    shown();
  });
  byId(name).addEventListener("change", () => segment());
  shown();
}
byId("file").addEventListener("change", () => take(byId("file").files[0]));
byId("other").addEventListener("click", () => byId("file").click());
byId("save-png").addEventListener("click", () => save("overlay-png", "selected.png"));
byId("save-json").addEventListener("click", () => save("json", "selected.json"));
document.addEventListener("paste", ({ clipboardData }) => take([...clipboardData.files].find(({ type }) => type.startsWith("image/"))));
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    byId("stage").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files[0]);
  });
}
new ResizeObserver(redraw).observe(byId("image"));

async function showModel() {
  try {
    const model = await (await send("v1/model")).json();
    byId("model").textContent = `${model.name} on ${model.backend}, ${model.device}, ${model.precision}`;
    byId("classes").replaceChildren(...model.class_names.slice(0, 1000).map((name) => Object.assign(make("option", ""), { value: name })));
  } catch (error) {
    showError(error instanceof TypeError ? "No connection to the server." : error.message);
  }
}

byId("token").value = sessionStorage.getItem(TOKEN) ?? "";
byId("token").addEventListener("change", () => {
  showError("");
  showModel();
});
prompts.texts = [];
excluded.texts = [];
showModel();
