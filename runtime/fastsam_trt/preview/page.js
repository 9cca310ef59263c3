import { make, PromptChips, same } from "./prompt_chips.js";

// Text from the run enters the page as text nodes only, never as HTML.
const LOST_AFTER_MS = 5000; // the status arrives twice a second
const RETRY_MS = { first: 500, most: 5000 };
const STATES = {
  connecting: "connecting",
  waiting: "waiting for the first frame",
  live: "live",
  stalled: "stalled: no new frames",
  ended: "ended",
  lost: "connection lost, reconnecting",
};

const byId = (id) => document.getElementById(id);

// ---- the connection: the server sends the status by itself, and an image per request --------------------------------

let socket = null;
let requested = false;
let lastMessageMs = 0;
let state = "connecting";
let retryMs = RETRY_MS.first;

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const opened = new WebSocket(`${scheme}//${location.host}/watch`);
  socket = opened;
  lastMessageMs = Date.now();
  requested = false;
  opened.onopen = () => {
    retryMs = RETRY_MS.first;
    requestImage();
  };
  opened.onmessage = ({ data }) => {
    if (opened !== socket) return;
    lastMessageMs = Date.now();
    if (typeof data === "string") showStatus(JSON.parse(data));
    else showImage(data);
  };
  opened.onclose = () => {
    if (opened === socket) reconnectLater();
  };
}

function reconnectLater() {
  const old = socket;
  socket = null;
  old.close();
  if (state !== "ended") showState("lost");
  setTimeout(connect, retryMs);
  retryMs = Math.min(2 * retryMs, RETRY_MS.most);
}

function requestImage() {
  if (requested || document.hidden || socket === null || socket.readyState !== WebSocket.OPEN) return;
  requested = true;
  socket.send("next");
}

setInterval(() => {
  if (socket !== null && Date.now() - lastMessageMs > LOST_AFTER_MS) reconnectLater();
}, 1000);
document.addEventListener("visibilitychange", requestImage);

// ---- the image -------------------------------------------------------------------------------------------------------

let shownUrl = "";

async function showImage(data) {
  const image = byId("image");
  const url = URL.createObjectURL(new Blob([data], { type: "image/jpeg" }));
  image.src = url;
  try {
    await image.decode();
  } catch {
    // the next image may be fine
  }
  URL.revokeObjectURL(shownUrl);
  shownUrl = url;
  image.hidden = false;
  byId("empty").hidden = true;
  requested = false;
  requestImage();
}

// ---- the status ------------------------------------------------------------------------------------------------------

function showStatus(status) {
  showState(status.state);
  prompts.setCurrent(status.prompts);
  showSelected(status.selected, status.count);
  showStatistics(status.stats);
}

function showState(name) {
  if (state === name) return;
  state = name;
  byId("state").dataset.state = name;
  byId("state-text").textContent = STATES[name];
  byId("stage").classList.toggle("old", name === "lost" || name === "stalled");
}

function showSelected(rows, count) {
  byId("count").textContent = count;
  byId("selected").hidden = rows.length === 0;
  byId("selected").tBodies[0].replaceChildren(
    ...rows.map((row) => {
      const line = document.createElement("tr");
      line.append(
        make("td", row.name ?? "segment"),
        make("td", fixed(row.similarity, 2), "n"),
        make("td", fixed(row.score, 2), "n"),
        make("td", row.track ?? "-", "n"),
      );
      return line;
    }),
  );
  byId("more").textContent = count > rows.length ? `and ${count - rows.length} more` : count === 0 ? "nothing selected" : "";
}

const fixed = (value, digits) => (typeof value === "number" ? value.toFixed(digits) : "-");
const grouped = (value) => (typeof value === "number" ? value.toLocaleString("en") : "-");
const STATISTICS = [
  ["FPS in / out", (f) => `${fixed(f.fps_in, 1)} / ${fixed(f.fps_out, 1)}`],
  ["frame age p50 / p99", (f) => `${fixed(f.age_p50_live_ms, 0)} / ${fixed(f.age_p99_live_ms, 0)} ms`],
  ["frames", (f) => grouped(f.frames)],
  ["dropped", (f) => grouped(f.dropped)],
  ["CLIP crops per frame", (f) => fixed(f.embedded_per_frame, 2)],
  ["frames in queues", (f) => Object.entries(f.queues ?? {}).map(([name, depth]) => `${name}\u00a0${depth}`).join(", ") || "-"],
  ["source lost", (f) => losses(f.health ?? {})],
];

function losses(health) {
  if (!health.losses) return "never";
  const times = health.losses === 1 ? "once" : `${health.losses} times`;
  return `${times}, reconnected\u00a0${grouped(health.reconnections)}, offline\u00a0${fixed(health.away_s, 1)}\u00a0s`;
}

function showStatistics(statistics) {
  byId("statistics").replaceChildren(
    ...STATISTICS.flatMap(([name, format]) => [make("dt", name), make("dd", format(statistics ?? {}))]),
  );
}

// ---- the prompts -----------------------------------------------------------------------------------------------------

class Prompts {
  #current = [];
  #busy = false;
  #applyAgain = false;
  #chips = new PromptChips(byId("box"), () => this.#render());

  constructor() {
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
    if (unedited && !this.#busy) this.#chips.texts = texts;
    this.#render();
  }

  #isEdited() {
    return !same(this.#chips.texts, this.#current) || this.#chips.typed !== "";
  }

  #reset() {
    this.#chips.reset(this.#current);
    this.#showError("");
    this.#render();
  }

  async #apply() {
    if (this.#busy) {
      this.#applyAgain = true;
      return;
    }
    const sent = this.#chips.texts;
    this.#busy = true;
    this.#showError("");
    this.#render();
    try {
      const response = await fetch("/prompts", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ prompts: sent }),
      });
      const { prompts: texts, error } = await response.json();
      this.#current = texts;
      if (error) this.#showError(error);
      else if (same(this.#chips.texts, sent)) this.#chips.texts = texts; // otherwise it was edited meanwhile
    } catch {
      this.#showError("No connection to the run; the prompts were not changed.");
    }
    this.#busy = false;
    this.#render();
    if (this.#applyAgain) {
      this.#applyAgain = false;
      if (this.#isEdited()) this.#apply();
    }
  }

  #showError(text) {
    byId("error").textContent = text;
    byId("error").hidden = text === "";
  }

  #render() {
    byId("apply").disabled = !this.#isEdited(); // a disabled button ignores Enter in the field
    const current = this.#current.length ? this.#current.join(", ") : "none";
    byId("hint").textContent = this.#busy
      ? "applying…"
      : this.#isEdited()
        ? `Not applied yet. Current prompts: ${current}`
        : "Separate prompts with commas. Without prompts everything is selected.";
  }
}

const prompts = new Prompts();
showStatistics({});
connect();
