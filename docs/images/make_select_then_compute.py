"""Make select-then-compute.svg: what each graph of a cut YOLO segmenter computes of a frame.

Everything is computed: the frame is a scene of the demo, the anchors, patches and the part of the map are those of the
bundled models for a prompt. It needs `pip install -e '.[cpu,export]'` and takes a few seconds.
"""

import base64
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt import Pipeline
from fastsam_trt.demo import draw_scene
from fastsam_trt.frames.preprocess import FramePreprocessor
from fastsam_trt.masks.map_to_frame import MapToFrame
from fastsam_trt.sparse.anchor_grid import AnchorGrid
from fastsam_trt.sparse.candidates import above
from fastsam_trt.sparse.tiles import Tiles, tiles_under

PROMPT = "red square"
REACH, MARGIN, PER_CELL = 2, 2, 2  # of YOLOv8-seg's branches; see `fastsam-trt info`
SHARES = {"backbone and neck": 0.427, "classes": 0.176, "boxes": 0.126, "coeff.": 0.049, "prototypes": 0.223}
WIDTH = 640  # px of the frame
SCALE = 290 / WIDTH  # of the frame in a panel
INK, GREY = "#212121", "#37474f"
TEAL, BLUE, ORANGE = "#00796b", "#1565c0", "#d84315"
PANELS = ((15, "#e8f4f2", TEAL), (345, "#eaf1fb", BLUE), (675, "#fdf3e3", ORANGE))  # left edge, fill, colour

OPENING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 520" font-family="Helvetica, Arial, sans-serif" '
    'role="img" aria-labelledby="title">'
)
TIP = (
    '<marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    f'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="{GREY}"/></marker>'
)


class Facts(NamedTuple):
    """What the models say of the frame, in px of the frame.

    Attributes:
        frame: (H, W, 3) uint8 BGR.
        grid: The anchors.
        centres: (n, 2) of the anchors above the threshold.
        strides: (n,) theirs.
        segments: Number of segments after NMS.
        box: (4,) xyxy of the selected segment.
        outline: (k, 2) xy of its mask.
        tiles: The tiles of the map, cells of the first level.
        top: Px above the frame that the letterbox adds.
    """

    frame: NDArray[np.uint8]
    grid: AnchorGrid
    centres: NDArray[np.float32]
    strides: NDArray[np.float32]
    segments: int
    box: NDArray[np.float32]
    outline: NDArray[np.int32]
    tiles: Tiles
    top: int


def find() -> Facts:
    """Run the models on a scene."""
    frame = draw_scene(4).frame
    with Pipeline("demo-seg", prompts=[PROMPT], clip="demo-clip", backend="onnxruntime") as pipe:
        result = pipe(frame)
        session, conf = pipe.segmenter.session, pipe.segmenter.thresholds.conf
        image = session.spec.input
        if not isinstance(image, ImageInput):
            raise TypeError("expected a model of images")
        array, letterbox = FramePreprocessor(image).prepare(frame)
        outputs = session.run({image.name: array})
        contours, _ = cv2.findContours(result.masks()[0].astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        segments, box = len(result.segments), result.boxes[0]
    maps = {int(name.split("_")[1]): each.shape[1:3] for name, each in outputs.items() if name.startswith("features_")}
    grid = AnchorGrid({stride: (height, width) for stride, (height, width) in maps.items()})
    centres, strides = grid.centres(above(outputs["best_logits"][0], conf))
    height, width = maps[min(maps)]
    resize = MapToFrame(letterbox, height * PER_CELL, width * PER_CELL)
    x0, y0, x1, y1 = np.ceil(box).astype(int).tolist()
    (top, bottom), (left, right) = resize.rows.reach(y0, y1), resize.columns.reach(x0, x1)
    window = np.array([[top // PER_CELL, left // PER_CELL, -(-bottom // PER_CELL), -(-right // PER_CELL)]], np.intp)
    tiles = tiles_under(window, height, width)
    if tiles is None:
        raise ValueError("expected a segment that is smaller than the frame")
    return Facts(
        frame, grid, centres * strides[:, None] - (0, letterbox.top), strides, segments, box,
        max(contours, key=len)[:, 0].astype(np.int32), tiles, letterbox.top,
    )  # fmt: skip


def text(x: float, y: float, words: str, size: float = 13, colour: str = GREY, **more: str) -> str:
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{colour}"{extra}>{words}</text>'


def rect(x: float, y: float, width: float, height: float, fill: str = "none", **more: object) -> str:
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}"{extra}/>'


def arrow(path: str, colour: str = GREY) -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.8" marker-end="url(#tip)"/>'


def panel(number: int, name: str, file: str, does: tuple[str, str], over: list[str], below: list[str]) -> list[str]:
    """A graph: its name, what it does, and the frame with something drawn over it."""
    left, fill, colour = PANELS[number - 1]
    return [
        rect(left, 15, 310, 395, fill, rx=8),
        f'<circle cx="{left + 21}" cy="37" r="11" fill="{colour}"/>',
        text(left + 21, 42, str(number), 14, "#fff", font_weight="bold", text_anchor="middle"),
        text(left + 41, 42, name, 16, INK, font_weight="bold"),
        text(left + 300, 42, file, 13, GREY, text_anchor="end", font_family="Menlo, Consolas, monospace"),
        *(text(left + 10, 66 + 18 * i, line) for i, line in enumerate(does)),
        f'<g transform="translate({left + 10} 94) scale({SCALE:.5g})"><g clip-path="url(#frame)">',
        '<use href="#photo"/>',
        *over,
        "</g></g>",
        *below,
    ]


def trunk(facts: Facts) -> list[str]:
    left = PANELS[0][0] + 10
    over = [
        f'<circle cx="{x:g}" cy="{y:g}" r="{3 + stride / 4:g}" fill="{TEAL}" stroke="#fff" stroke-width="2"/>'
        for (x, y), stride in zip(facts.centres.tolist(), facts.strides.tolist(), strict=True)
    ]
    below, x = [text(left, 280, "keeps the features, one map per stride:")], float(left)
    for level in facts.grid.levels:
        width, height = level.width * 1.4, level.height * 1.4
        below += [
            rect(x, 292, width, height, f"url(#cells{level.stride})", stroke=TEAL, stroke_width=1.4),
            text(x, 308 + height, f"{level.height} x {level.width}", 12),
        ]
        x += width + 22
    total = sum(level.cells for level in facts.grid.levels)
    below.append(
        text(left, 398, f"{total:,} anchors, {len(facts.centres)} clear the threshold", 13, INK, font_weight="bold")
    )
    return panel(1, "Trunk", "M.onnx", ("backbone, neck and class branch,", "for every frame"), over, below)


def heads(facts: Facts) -> list[str]:
    left = PANELS[1][0] + 10
    sides = (2 * REACH + 1) * facts.strides
    corners = facts.centres - sides[:, None] / 2
    over = [
        rect(x, y, side, side, BLUE, fill_opacity=0.04, stroke=BLUE, stroke_width=1.5, stroke_opacity=0.7)
        for (x, y), side in zip(corners.tolist(), sides.tolist(), strict=True)
    ]
    below = [text(left, 280, "a patch at the map's edge: zeros outside")]
    cell, x = 15.0, float(left)
    for step, cells in enumerate((5, 3, 1)):
        y = 330 - cells * cell / 2
        outside = cells // 2  # columns of the patch that lie left of the map
        for row in range(cells):
            for column in range(cells):
                at = (x + column * cell, y + row * cell, cell, cell)
                centre = row == column == cells // 2
                fill = "url(#outside)" if column < outside else BLUE if centre else "#bbd4f3"
                below.append(rect(*at, fill, stroke="#ffffff", stroke_width=1))
        x += cells * cell + 8
        if step < 2:
            below += [arrow(f"M{x:g} 330 L{x + 28:g} 330"), text(x + 12, 322, "3x3", 11, text_anchor="middle")]
            x += 36
    below += [arrow(f"M{x:g} 330 L{x + 26:g} 330"), text(x + 34, 335, "box", 13, INK, font_weight="bold")]
    below.append(text(left, 398, f'NMS, then "{PROMPT}": 1 of {facts.segments}', 13, INK, font_weight="bold"))
    does = ("box branch, on 5 x 5 cells around each", "anchor that clears the threshold")
    return panel(2, "Heads", "M.heads.onnx", does, over, below)


def masks(facts: Facts) -> list[str]:
    left = PANELS[2][0] + 10
    stride = facts.grid.levels[0].stride
    tiles = facts.tiles
    height, width, ring = stride * tiles.height, stride * tiles.width, stride * MARGIN
    places = [
        (stride * left, stride * top - facts.top)
        for top, left in zip(tiles.tops.tolist(), tiles.lefts.tolist(), strict=True)
    ]
    x0, y0 = (np.min(places, axis=0) - ring).tolist()
    x1, y1 = (np.max(places, axis=0) + np.array([width, height]) + ring).tolist()
    outline = "".join(f"L{px} {py}" for px, py in facts.outline.tolist())[1:]
    over = [
        rect(0, 0, WIDTH, facts.frame.shape[0], "#ffffff", fill_opacity=0.6),
        rect(x0, y0, x1 - x0, y1 - y0, ORANGE, fill_opacity=0.15, stroke=ORANGE, stroke_width=2.5,
             stroke_dasharray="8 6"),
        *(rect(x, y, width, height, "url(#prototype)", stroke=ORANGE, stroke_width=3.5) for x, y in places),
        f'<path d="M{outline}Z" fill="#d50000" fill-opacity="0.85" stroke="#ffffff" stroke-width="3"/>',
    ]  # fmt: skip
    level, many = facts.grid.levels[0], "s" if len(places) > 1 else ""
    covered = f"{len(places)} tile{many} of {tiles.height} x {tiles.width} cells, of {level.height} x {level.width}"
    below = [
        rect(left + 4, 294, 22, 14, ORANGE, fill_opacity=0.15, stroke=ORANGE, stroke_dasharray="4 3"),
        text(left + 34, 306, f"margin of {MARGIN} cells"),
        rect(left + 4, 320, 22, 14, "url(#legend)", stroke=ORANGE, stroke_width=1.6),
        text(left + 34, 332, covered),
        rect(left + 4, 346, 22, 14, "#d50000", fill_opacity=0.85),
        text(left + 34, 358, "mask = coefficients x prototypes"),
        text(left, 398, "Nothing selected: not run", 13, INK, font_weight="bold"),
    ]
    does = ("coefficients of the selected segments,", "prototypes of the part that they cover")
    return panel(3, "Masks", "M.masks.onnx", does, over, below)


def bar() -> list[str]:
    """The operations of YOLOv8n-seg by branch."""
    found, x = [text(15, 440, "Operations of YOLOv8n-seg, by branch", 14, INK, font_weight="bold")], 15.0
    colours = (TEAL, TEAL, BLUE, ORANGE, ORANGE)
    for (name, share), colour in zip(SHARES.items(), colours, strict=True):
        width = 970 * share / sum(SHARES.values())
        whole = colour == TEAL
        kind = {BLUE: "some-blue", ORANGE: "some-orange"}.get(colour)
        found.append(rect(x, 450, width, 32, colour if whole else f"url(#{kind})", stroke="#ffffff", stroke_width=2))
        found.append(
            text(x + width / 2, 471, name, 13, "#ffffff" if whole else INK, text_anchor="middle", font_weight="bold")
        )
        x += width
    partial = 15 + 970 * sum(list(SHARES.values())[:2]) / sum(SHARES.values())
    found += [
        text(15, 504, "60 %: in every frame"),
        text(partial, 504, "40 %: only for what can be selected"),
    ]
    return found


def pattern(name: str, size: float, inside: str, y: float = 0, turn: float = 0) -> str:
    turned = f' patternTransform="rotate({turn:g})"' if turn else ""
    place = f'width="{size:g}" height="{size:g}" y="{y:g}" patternUnits="userSpaceOnUse"{turned}'
    return f'<pattern id="{name}" {place}>{inside}</pattern>'


def stripes(name: str, paper: str, ink: str, size: float) -> str:
    return pattern(name, size, rect(0, 0, size, size, paper) + rect(0, 0, size / 2.5, size, ink), turn=45)


def figure(facts: Facts) -> str:
    height = facts.frame.shape[0]
    photo = base64.b64encode(cv2.imencode(".jpg", facts.frame, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()).decode()
    image = f'<image width="{WIDTH}" height="{height}" href="data:image/jpeg;base64,{photo}"/>'
    stride = facts.grid.levels[0].stride
    line = '<path d="M0 0H{0:g}M0 0V{0:g}" stroke="{1}" stroke-width="{2:g}" fill="none"/>'
    defs = [
        TIP,
        f'<clipPath id="frame"><rect width="{WIDTH}" height="{height}" rx="8"/></clipPath>',
        pattern("grid", stride, line.format(stride, "#5d4f73", 0.5), -facts.top % stride),
        pattern("prototype", stride / PER_CELL, line.format(stride / PER_CELL, ORANGE, 0.6)),
        pattern("legend", 5, line.format(5, ORANGE, 0.8)),
        *(pattern(f"cells{level.stride}", 5.6, rect(0, 0, 5.6, 5.6, "#ffffff") + line.format(5.6, "#7fbdb5", 0.6))
          for level in facts.grid.levels),
        stripes("outside", "#ffffff", "#b0bec5", 5),
        stripes("some-blue", "#d3e3f8", "#a3c4ef", 10),
        stripes("some-orange", "#fbdcc8", "#f4b491", 10),
        f'<g id="photo">{image}{rect(0, 0, WIDTH, height, "url(#grid)")}</g>',
    ]  # fmt: skip
    title = "Trunk, heads and masks: each graph computes only what the one before it left over"
    return "\n".join(
        [
            OPENING,
            f'<title id="title">{title}</title>',
            "<defs>", *defs, "</defs>",
            rect(0, 0, 1000, 520, "#ffffff", rx=10),
            *trunk(facts), *heads(facts), *masks(facts),
            arrow("M325 172 L344 172"), arrow("M655 172 L674 172"),
            *bar(),
            "</svg>\n",
        ]
    )  # fmt: skip


if __name__ == "__main__":
    (Path(__file__).parent / "select-then-compute.svg").write_text(figure(find()), encoding="utf-8")
