import { Connection } from "./connection.js";
import { DrawnRegions } from "./drawn_regions.js";
import { Prompts } from "./prompts.js";
import { ShownImage } from "./shown_image.js";
import { showStatistics } from "./statistics.js";
import { Thresholds } from "./thresholds.js";

// Text from the run enters the page as text nodes only, never as HTML.
const STATES = {
  connecting: "connecting",
  waiting: "waiting for the first frame",
  live: "live",
  stalled: "stalled: no new frames",
  ended: "ended",
  lost: "connection lost, reconnecting",
};

const byId = (id) => document.getElementById(id);

let state = "connecting";
let version = 0; // of the newest settings; an answer may overtake a status that is older

function showState(name) {
  if (state === name) return;
  state = name;
  byId("state").dataset.state = name;
  byId("state-text").textContent = STATES[name];
  byId("stage").classList.toggle("old", name === "lost" || name === "stalled");
}

function showSettings(settings) {
  if (settings.version < version) return;
  version = settings.version;
  prompts.setCurrent(settings.prompts);
  regions.setCurrent(settings.regions);
  thresholds.setCurrent(settings.thresholds);
}

const prompts = new Prompts(showSettings);
const regions = new DrawnRegions(showSettings);
const thresholds = new Thresholds(showSettings);
const image = new ShownImage({
  regions: () => regions.shown,
  onShow: (size) => {
    regions.size = size;
  },
  onResume: () => connection.requestImage(),
});
showStatistics({});

const connection = new Connection({
  wantsImage: () => !image.isPaused,
  onOpen: () => {
    version = 0; // it may be another run
  },
  onLost: () => {
    if (state !== "ended") showState("lost");
  },
  onStatus: (status) => {
    showState(status.state);
    showSettings(status);
    showStatistics(status.stats);
  },
  onImage: (data) => image.take(data),
});
