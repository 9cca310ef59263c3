import { make } from "./prompt_chips.js";

// The statistics of the run.

const fixed = (value, digits) => (typeof value === "number" ? value.toFixed(digits) : "-");
const grouped = (value) => (typeof value === "number" ? value.toLocaleString("en") : "-");
const ROWS = [
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

export function showStatistics(statistics) {
  document
    .getElementById("statistics")
    .replaceChildren(...ROWS.flatMap(([name, format]) => [make("dt", name), make("dd", format(statistics ?? {}))]));
}
