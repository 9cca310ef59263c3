"""What box and point prompts add to selecting everything: whole calls on drawn scenes of some 30 segments.

In the clock of a side are setting its prompts, the whole call, and the masks that the prompts made it decode, those of
the selected segments among them. Selecting everything decodes no mask in its clock: the difference is all that prompts
cost. The stage alone, prompts and selection, is held to the same bound, because load on the machine moves the network's
time by more than that.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

from claims.common import harness

# isort: split
import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt import Pipeline
from fastsam_trt.bundled_models import SEGMENTER
from fastsam_trt.demo.scenes import Scene, draw_scene

_HEIGHT, _WIDTH, _ITEMS, _RADIUS_PX = 480, 640, (36, 40), (16.0, 62.0)
_SEED, _SCENES = 5_000, 4
_BOUND_MS = 2.0
_EVERYTHING, _BOX, _POINT, _TOGETHER = "everything", "one box", "one point", "three boxes, four points"


@dataclass(frozen=True, slots=True)
class Prompts:
    """Places to ask for: (k, 4) boxes and (k, 2) points with (k,) labels, as lists."""

    boxes: list[list[float]] = dataclasses.field(default_factory=list)
    points: list[list[float]] = dataclasses.field(default_factory=list)
    labels: list[int] = dataclasses.field(default_factory=list)


def main() -> int:
    """Time every kind of prompt, the same scenes in turn, and hold the differences against the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="auto", help="auto, openvino or onnxruntime")
    harness.add_options(parser, rounds=40)
    args = parser.parse_args()
    facts = harness.machine(("fastsam-trt", "openvino", "onnxruntime", "numpy"))
    pipeline = Pipeline(SEGMENTER, backend=args.backend)
    session = pipeline.segmenter.session
    scenes = [draw_scene(_SEED + i, _HEIGHT, _WIDTH, items=_ITEMS, radius_px=_RADIUS_PX) for i in range(_SCENES)]
    asked = [_prompts(scene) for scene in scenes]
    stages: dict[str, list[float]] = {name: [] for name in asked[0]}
    rows = harness.show_rows(
        f"on {session.backend} {session.precision}, {_SCENES} scenes of {_WIDTH} x {_HEIGHT} px, a frame",
        [{"side": name, **_counts(pipeline, scenes, [each[name] for each in asked])} for name in stages],
    )
    times: dict[str, list[float]] = {name: [] for name in stages}
    for scene, prompts in zip(scenes, asked, strict=True):  # pairs of single frames: load hits both halves alike
        sides = [harness.Side(name, _timed(pipeline, scene, prompts[name], stages[name])) for name in stages]
        for name, values in harness.measure(sides, args.rounds, args.warmup).items():
            times[name] += values
    rows += harness.show_times("whole call", times, [_EVERYTHING])
    rows += harness.show_rows("prompts and selection alone, ms", _spreads(stages))
    added = {
        name: [a - b for a, b in zip(times[name], times[_EVERYTHING], strict=True)]
        for name in (_BOX, _POINT, _TOGETHER)
    }
    rows += harness.show_rows("whole call over everything's, frame by frame, ms", _spreads(added))
    figures = [
        harness.Figure(f"{name}: {what}, ms", harness.Spread.of(values[name]).median, "<=", _BOUND_MS)
        for what, values in (("whole call over everything's", added), ("prompts and selection", stages))
        for name in added
    ]
    return harness.finish(args, facts, rows, figures)


def _prompts(scene: Scene) -> dict[str, Prompts]:
    """Prompts for the items of a scene that show the most: boxes around three, points in three, a point beside all."""
    masks = scene.masks[np.argsort(-scene.masks.sum(axis=(1, 2)))[:6]]
    boxes, points = [_box(mask) for mask in masks[:3]], [_middle(mask) for mask in masks[3:]]
    points.append(_middle(scene.masks.sum(axis=0) == 0))
    return {
        _EVERYTHING: Prompts(),
        _BOX: Prompts(boxes=boxes[:1]),
        _POINT: Prompts(points=points[:1], labels=[1]),
        _TOGETHER: Prompts(boxes, points, [1, 1, 0, 0]),
    }


def _box(mask: NDArray[np.bool_]) -> list[float]:
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return [left - 3, top - 2, left + width + 2, top + height + 3]  # as a hand draws it


def _middle(mask: NDArray[np.bool_]) -> list[float]:
    """The point of a mask that is farthest from its edge."""
    row, column = np.unravel_index(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5).argmax(), mask.shape)
    return [float(column), float(row)]


def _ask(pipeline: Pipeline, prompts: Prompts) -> None:
    pipeline.boxes = prompts.boxes
    pipeline.set_points(prompts.points, prompts.labels)


def _timed(pipeline: Pipeline, scene: Scene, prompts: Prompts, stage: list[float]) -> Callable[[], float]:
    """A call that asks one scene and returns the ms it took; `stage` gets what prompts and selection took of it."""

    def run() -> float:
        start = time.perf_counter()
        _ask(pipeline, prompts)
        set_ms = (time.perf_counter() - start) * 1e3
        result = pipeline(scene.frame)
        spent_ms = (time.perf_counter() - start) * 1e3
        stage.append(set_ms + result.speed["select"])
        return spent_ms

    return run


def _counts(pipeline: Pipeline, scenes: list[Scene], asked: list[Prompts]) -> dict[str, float]:
    """How many segments a side finds and selects, a frame."""
    counts = np.zeros(2)
    for scene, prompts in zip(scenes, asked, strict=True):
        _ask(pipeline, prompts)
        result = pipeline(scene.frame)
        counts += len(result.segments), len(result)
    found, selected = (counts / len(scenes)).tolist()
    return {"segments": found, "selected": selected}


def _spreads(sides: dict[str, list[float]]) -> list[dict[str, object]]:
    return [{"side": name, **dataclasses.asdict(harness.Spread.of(values))} for name, values in sides.items()]


if __name__ == "__main__":
    harness.entry(main)
