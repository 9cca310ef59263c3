// Draw the segments of an answer over the photo: masks, outlines and labels, at the size of the canvas.

// Okabe and Ito's colours, which colour-blind people can tell apart.
const COLOURS = [[86, 180, 233], [230, 159, 0], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167]];
const TINT = 0.42;
const LABEL_PX = 13;

export const cssColour = (key) => `rgb(${COLOURS[key % COLOURS.length].join(" ")})`;

// COCO's compressed RLE: runs of zeros and ones in column order. Six bits a character, five of them data.
function runsOf(counts) {
  const runs = [];
  for (let at = 0; at < counts.length; ) {
    let value = 0;
    let shift = 0;
    let more = true;
    while (more) {
      const bits = counts.charCodeAt(at++) - 48;
      value += (bits & 0x1f) * 2 ** shift;
      more = (bits & 0x20) !== 0;
      shift += 5;
      if (!more && bits & 0x10) value -= 2 ** shift;
    }
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

// The segment of every pixel of the canvas, -1 where there is none; segments that come later lie on top.
export class SegmentMap {
  constructor(segments, [height, width], columns, rows) {
    this.columns = columns;
    this.rows = rows;
    this.index = new Int16Array(columns * rows).fill(-1);
    this.area = new Float64Array(segments.length);
    const [scaleX, scaleY] = [columns / width, rows / height];
    const decoded = segments.map(({ mask }) => runsOf(mask.counts));
    decoded.forEach((runs, segment) => {
      this.area[segment] = runs.reduce((sum, run, index) => sum + (index % 2 ? run : 0), 0);
    });
    const bySize = [...decoded.keys()].sort((one, other) => this.area[other] - this.area[one]);
    for (const segment of bySize) this.#paint(segment, decoded[segment], height, scaleX, scaleY);
  }

  // The segment under a point of the photo, given in 0 to 1; -1 if there is none.
  at(x, y) {
    const column = Math.min(Math.floor(x * this.columns), this.columns - 1);
    const row = Math.min(Math.floor(y * this.rows), this.rows - 1);
    return this.index[row * this.columns + column];
  }

  // A pixel of the canvas whose centre lies in a pixel of the mask takes its value.
  #paint(segment, runs, height, scaleX, scaleY) {
    let start = 0;
    runs.forEach((run, number) => {
      const end = start + run;
      for (let begin = start; number % 2 && begin < end; ) {
        const column = Math.floor(begin / height);
        const stop = Math.min(end, (column + 1) * height);
        const [x0, x1] = [firstCentre(column, scaleX), firstCentre(column + 1, scaleX)];
        if (x0 < x1) {
          const y0 = firstCentre(begin - column * height, scaleY);
          const y1 = firstCentre(stop - column * height, scaleY);
          for (let y = y0; y < y1; y++) this.index.fill(segment, y * this.columns + x0, y * this.columns + x1);
        }
        begin = stop;
      }
      start = end;
    });
  }
}

// The first pixel of the canvas whose centre is at or after an edge of the photo's pixels.
const firstCentre = (edge, scale) => Math.max(Math.ceil(edge * scale - 0.5), 0);

export function drawOverlay(canvas, map, segments, keys, names, chosen) {
  const context = canvas.getContext("2d");
  const { columns, rows, index } = map;
  canvas.width = columns;
  canvas.height = rows;
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer); // ABGR on every usual processor
  const tints = keys.map((key, segment) => colour(key, chosen < 0 || chosen === segment ? TINT : TINT / 3));
  const lines = keys.map((key) => colour(key, 1));
  for (let y = 0, at = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, at++) {
      const segment = index[at];
      if (segment < 0) continue;
      const inside =
        x > 1 && y > 1 && x < columns - 2 && y < rows - 2 &&
        index[at - 2] === segment && index[at + 2] === segment &&
        index[at - 2 * columns] === segment && index[at + 2 * columns] === segment;
      pixels[at] = (inside ? tints : lines)[segment];
    }
  }
  context.putImageData(image, 0, 0);
  drawLabels(context, map, segments, keys, names);
}

function colour(key, alpha) {
  const [red, green, blue] = COLOURS[key % COLOURS.length];
  return ((Math.round(alpha * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// A label stands on the longest visible row of its segment; one that would cover an earlier label is left out.
function drawLabels(context, map, segments, keys, names) {
  const zoom = context.canvas.width / (context.canvas.clientWidth || context.canvas.width);
  const size = LABEL_PX * zoom;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  context.textAlign = "center";
  const taken = [];
  const spots = longestRows(map, segments.length);
  segments.forEach((segment, number) => {
    const spot = spots[number];
    if (spot.length === 0 || names[number] === "") return;
    const [width, height] = [context.measureText(names[number]).width + size, size * 1.5];
    const inside = (value, half, most) => Math.min(Math.max(value, half), Math.max(most - half, half));
    const x = inside(spot.x + spot.length / 2, width / 2, map.columns);
    const y = inside(spot.y, height / 2, map.rows);
    const box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2];
    if (taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) return;
    taken.push(box);
    const background = COLOURS[keys[number] % COLOURS.length];
    context.fillStyle = cssColour(keys[number]);
    context.beginPath();
    context.roundRect(box[0], box[1], width, height, size / 4);
    context.fill();
    context.fillStyle = luminance(background) > 0.179 ? "#000" : "#fff"; // the better contrast of the two (WCAG 2)
    context.fillText(names[number], x, y + size * 0.04);
  });
}

function longestRows({ index, columns, rows }, count) {
  const spots = Array.from({ length: count }, () => ({ x: 0, y: 0, length: 0 }));
  for (let y = 0; y < rows; y += 3) {
    for (let x = 0; x < columns; ) {
      const segment = index[y * columns + x];
      const start = x;
      while (x < columns && index[y * columns + x] === segment) x++;
      if (segment >= 0 && x - start > spots[segment].length) spots[segment] = { x: start, y, length: x - start };
    }
  }
  return spots;
}

function luminance(rgb) {
  const [red, green, blue] = rgb.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
