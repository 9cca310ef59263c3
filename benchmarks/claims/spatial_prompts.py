"""Measure the cost of box and point prompts, compared with selecting everything, on drawn scenes of some 30 segments.

The time of a side includes setting the prompts, the whole call, and decoding the masks that the prompts need, those of
the selected segments among them. Selecting everything decodes no masks within its time, so the difference is the whole
cost of the prompts. The stage alone (prompts and selection) has the same bound, because load on the machine changes the
time of the network by more than that.
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
    """Boxes (k, 4) and points (k, 2) with labels (k,), as lists."""

    boxes: list[list[float]] = dataclasses.field(default_factory=list)
    points: list[list[float]] = dataclasses.field(default_factory=list)
    labels: list[int] = dataclasses.field(default_factory=list)


def main() -> int:
    """Time every kind of prompt on the same scenes in turn, and compare the differences with the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="auto", help="auto, openvino or onnxruntime")
    harness.add_options(parser, rounds=40)
    args = parser.parse_args()
    facts = harness.machine(("fastsam-trt", "openvino", "onnxruntime", "numpy"))
    pipeline = Pipeline(SEGMENTER, backend=args.backend)
    session = pipeline.segmenter.session
    scenes = [draw_scene(_SEED + i, _HEIGHT, _WIDTH, items=_ITEMS, radius_px=_RADIUS_PX) for i in range(_SCENES)]
    prompt_sets = [_prompts(scene) for scene in scenes]
    stages: dict[str, list[float]] = {name: [] for name in prompt_sets[0]}
    rows = harness.show_rows(
        f"on {session.backend} {session.precision}, {_SCENES} scenes of {_WIDTH} x {_HEIGHT} px, per frame",
        [{"side": name, **_counts(pipeline, scenes, [each[name] for each in prompt_sets])} for name in stages],
    )
    times: dict[str, list[float]] = {name: [] for name in stages}
    for scene, prompts in zip(scenes, prompt_sets, strict=True):  # pairs of single frames: load affects both alike
        sides = [harness.Side(name, _timed(pipeline, scene, prompts[name], stages[name])) for name in stages]
        for name, values in harness.measure(sides, args.rounds, args.warmup).items():
            times[name] += values
    rows += harness.show_times("whole call", times, [_EVERYTHING])
    rows += harness.show_rows("prompts and selection alone, ms", _spreads(stages))
    added = {
        name: [a - b for a, b in zip(times[name], times[_EVERYTHING], strict=True)]
        for name in (_BOX, _POINT, _TOGETHER)
    }
    rows += harness.show_rows("whole call minus that of everything, frame by frame, ms", _spreads(added))
    checks = [
        harness.Check(f"{name}: {what}, ms", harness.Spread.of(values[name]).median, "<=", _BOUND_MS)
        for what, values in (("whole call minus that of everything", added), ("prompts and selection", stages))
        for name in added
    ]
    return harness.finish(args, facts, rows, checks)


def _prompts(scene: Scene) -> dict[str, Prompts]:
    """Prompts for the largest items of a scene: boxes around three, points in three others, one point outside all."""
    masks = scene.masks[np.argsort(-scene.masks.sum(axis=(1, 2)))[:6]]
    boxes, points = [_box(mask) for mask in masks[:3]], [_centre(mask) for mask in masks[3:]]
    points.append(_centre(scene.masks.sum(axis=0) == 0))
    return {
        _EVERYTHING: Prompts(),
        _BOX: Prompts(boxes=boxes[:1]),
        _POINT: Prompts(points=points[:1], labels=[1]),
        _TOGETHER: Prompts(boxes, points, [1, 1, 0, 0]),
    }


def _box(mask: NDArray[np.bool_]) -> list[float]:
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return [left - 3, top - 2, left + width + 2, top + height + 3]  # inexact, as if drawn by hand


def _centre(mask: NDArray[np.bool_]) -> list[float]:
    """The point of a mask that is farthest from its edge."""
    row, column = np.unravel_index(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5).argmax(), mask.shape)
    return [float(column), float(row)]


def _set(pipeline: Pipeline, prompts: Prompts) -> None:
    pipeline.boxes = prompts.boxes
    pipeline.set_points(prompts.points, prompts.labels)


def _timed(pipeline: Pipeline, scene: Scene, prompts: Prompts, stage: list[float]) -> Callable[[], float]:
    """A function that sets prompts, runs a scene and returns the time, ms; the time of the stage goes to `stage`."""

    def run() -> float:
        start = time.perf_counter()
        _set(pipeline, prompts)
        set_ms = (time.perf_counter() - start) * 1e3
        result = pipeline(scene.frame)
        spent_ms = (time.perf_counter() - start) * 1e3
        stage.append(set_ms + result.speed["select"])
        return spent_ms

    return run


def _counts(pipeline: Pipeline, scenes: list[Scene], prompt_sets: list[Prompts]) -> dict[str, float]:
    """Number of segments that a side finds and selects per frame."""
    counts = np.zeros(2)
    for scene, prompts in zip(scenes, prompt_sets, strict=True):
        _set(pipeline, prompts)
        result = pipeline(scene.frame)
        counts += len(result.segments), len(result)
    found, selected = (counts / len(scenes)).tolist()
    return {"segments": found, "selected": selected}


def _spreads(sides: dict[str, list[float]]) -> list[dict[str, object]]:
    return [{"side": name, **dataclasses.asdict(harness.Spread.of(values))} for name, values in sides.items()]


if __name__ == "__main__":
    harness.entry(main)
