"use strict";

// Text from outside goes into the page as text nodes only.
const LOST_AFTER_MS = 5000; // the status comes twice a second
const RETRY_MS = { first: 500, most: 5000 };
const STATES = {
  connecting: "connecting",
  waiting: "waiting for the first frame",
  live: "live",
  stalled: "stalled: no new frames",
  ended: "ended",
  lost: "connection lost, trying again",
};

const byId = (id) => document.getElementById(id);
const make = (tag, text, className = "") => Object.assign(document.createElement(tag), { textContent: text, className });

// ---- the connection: the status comes by itself, each picture when it is asked for -----------------------------------

let socket = null;
let asked = false;
let heard = 0;
let state = "connecting";
let retryMs = RETRY_MS.first;

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const mine = new WebSocket(`${scheme}//${location.host}/watch`);
  socket = mine;
  heard = Date.now();
  asked = false;
  mine.onopen = () => {
    retryMs = RETRY_MS.first;
    ask();
  };
  mine.onmessage = ({ data }) => {
    if (mine !== socket) return;
    heard = Date.now();
    if (typeof data === "string") showStatus(JSON.parse(data));
    else showPicture(data);
  };
  mine.onclose = () => {
    if (mine === socket) lose();
  };
}

function lose() {
  const old = socket;
  socket = null;
  old.close();
  if (state !== "ended") showState("lost");
  setTimeout(connect, retryMs);
  retryMs = Math.min(2 * retryMs, RETRY_MS.most);
}

function ask() {
  if (asked || document.hidden || socket === null || socket.readyState !== WebSocket.OPEN) return;
  asked = true;
  socket.send("next");
}

setInterval(() => {
  if (socket !== null && Date.now() - heard > LOST_AFTER_MS) lose();
}, 1000);
document.addEventListener("visibilitychange", ask);

// ---- the picture -----------------------------------------------------------------------------------------------------

let shownUrl = "";

async function showPicture(data) {
  const picture = byId("picture");
  const url = URL.createObjectURL(new Blob([data], { type: "image/jpeg" }));
  picture.src = url;
  try {
    await picture.decode();
  } catch {
    // the next one may be whole
  }
  URL.revokeObjectURL(shownUrl);
  shownUrl = url;
  picture.hidden = false;
  byId("empty").hidden = true;
  asked = false;
  ask();
}

// ---- the status ------------------------------------------------------------------------------------------------------

function showStatus(status) {
  showState(status.state);
  prompts.inForce(status.prompts);
  showSelected(status.selected, status.count);
  showFigures(status.figures);
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
  byId("more").textContent = count > rows.length ? `and ${count - rows.length} more` : count === 0 ? "nothing" : "";
}

const fixed = (value, digits) => (typeof value === "number" ? value.toFixed(digits) : "-");
const plain = (value) => (typeof value === "number" ? value.toLocaleString("en") : "-");
const FIGURES = [
  ["FPS in / out", (f) => `${fixed(f.fps_in, 1)} / ${fixed(f.fps_out, 1)}`],
  ["frame age p50 / p99", (f) => `${fixed(f.age_p50_live_ms, 0)} / ${fixed(f.age_p99_live_ms, 0)} ms`],
  ["frames", (f) => plain(f.frames)],
  ["dropped", (f) => plain(f.dropped)],
  ["crops per frame", (f) => fixed(f.embedded_per_frame, 2)],
  ["queued now", (f) => Object.entries(f.queues ?? {}).map(([name, depth]) => `${name}\u00a0${depth}`).join(", ") || "-"],
  ["source lost", (f) => losses(f.health ?? {})],
];

function losses(health) {
  if (!health.losses) return "never";
  const times = health.losses === 1 ? "once" : `${health.losses} times`;
  return `${times}, back\u00a0${plain(health.reconnections)}, away\u00a0${fixed(health.away_s, 1)}\u00a0s`;
}

function showFigures(figures) {
  byId("figures").replaceChildren(
    ...FIGURES.flatMap(([name, tell]) => [make("dt", name), make("dd", tell(figures ?? {}))]),
  );
}

// ---- the prompts -----------------------------------------------------------------------------------------------------

class Prompts {
  #inForce = [];
  #draft = [];
  #busy = false;
  #again = false;
  #input = byId("prompt");

  constructor() {
    byId("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#takeTyped();
      this.#apply();
    });
    byId("box").addEventListener("click", (event) => {
      if (event.target === byId("box")) this.#input.focus();
    });
    this.#input.addEventListener("input", () => {
      if (this.#input.value.includes(",")) this.#takeTyped();
      this.#show();
    });
    this.#input.addEventListener("keydown", (event) => {
      if (event.key === "Backspace" && this.#input.value === "" && this.#draft.length) this.#drop(this.#draft.length - 1);
      if (event.key === "Escape") this.#reset();
    });
    this.#show();
  }

  inForce(texts) {
    const untouched = !this.#isEdited();
    if (same(texts, this.#inForce)) return;
    this.#inForce = texts;
    if (untouched && !this.#busy) this.#draft = [...texts];
    this.#show();
  }

  #isEdited() {
    return !same(this.#draft, this.#inForce) || this.#input.value.trim() !== "";
  }

  #takeTyped() {
    const texts = this.#input.value.split(",").map((text) => text.trim().replace(/\s+/g, " "));
    this.#draft = [...new Set([...this.#draft, ...texts.filter((text) => text !== "")])];
    this.#input.value = "";
    this.#show();
  }

  #drop(place) {
    this.#draft.splice(place, 1);
    this.#input.focus();
    this.#show();
  }

  #reset() {
    this.#draft = [...this.#inForce];
    this.#input.value = "";
    this.#fail("");
    this.#show();
  }

  async #apply() {
    if (this.#busy) {
      this.#again = true;
      return;
    }
    const sent = [...this.#draft];
    this.#busy = true;
    this.#fail("");
    this.#show();
    try {
      const answer = await fetch("/prompts", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ prompts: sent }),
      });
      const { prompts: texts, error } = await answer.json();
      this.#inForce = texts;
      if (error) this.#fail(error);
      else if (same(this.#draft, sent)) this.#draft = [...texts]; // else it was edited since
    } catch {
      this.#fail("The run can't be reached; nothing was changed.");
    }
    this.#busy = false;
    this.#show();
    if (this.#again) {
      this.#again = false;
      if (this.#isEdited()) this.#apply();
    }
  }

  #fail(text) {
    byId("error").textContent = text;
    byId("error").hidden = text === "";
  }

  #show() {
    byId("chips").replaceChildren(
      ...this.#draft.map((text, place) => {
        const chip = document.createElement("li");
        const button = make("button", "×");
        button.type = "button";
        button.setAttribute("aria-label", `remove ${text}`);
        button.addEventListener("click", () => this.#drop(place));
        chip.append(make("span", text), button);
        return chip;
      }),
    );
    this.#input.placeholder = this.#draft.length ? "and…" : "what to select";
    byId("apply").disabled = !this.#isEdited(); // a disabled button would take Enter from the field
    const now = this.#inForce.length ? this.#inForce.join(", ") : "everything";
    byId("hint").textContent = this.#busy
      ? "changing…"
      : this.#isEdited()
        ? `Selected until you apply: ${now}`
        : "Separate prompts by commas. With none, everything is selected.";
  }
}

const same = (one, other) => one.length === other.length && one.every((text, place) => text === other[place]);

const prompts = new Prompts();
showFigures({});
connect();
