"""Compare detections on a few common rectangles with those on the smallest rectangle and on the square.

First crops of photos at random shapes, up to 2.4:1: which detections of the smallest rectangle, and of the square, a
set of rectangles keeps (same class, box IoU 0.5, score 0.25 in both), and how much boxes, masks and scores differ. The
square is as good an input, so what it changes is the noise. Then drawn scenes at ten shapes, with exact ground truth,
by the demo's segmenter.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from claims.common import harness, rectangle_sets

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_bench.scenarios.demo_accuracy import UNSEEN_SEED, counting_items, mask_ious
from fastsam_trt import Pipeline, Result
from fastsam_trt.bundled_models import SEGMENTER
from fastsam_trt.demo import draw_scene
from fastsam_trt.frames.image import read_image
from fastsam_trt.segmentation.nms import box_ious

_LONGEST = 2.4  # long side to short
_SCORE, _MIN_SCORE, _SAME_IOU = 0.25, 0.1, 0.5
_RATIOS = (1.0, 1.15, 1.25, 1.4, 1.5, 1.6, 1.7, 2.0, 2.17, 2.4)
_SCENE_PX = 480  # square root of a scene's area
_NOISE, _RECALL_NOISE = 0.02, 0.01


def main() -> int:
    """Compare all sets on photos and on scenes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov8n-seg", help="name, folder or file (%(default)s)")
    parser.add_argument("--images", type=Path, default=harness.SHARED / "images", metavar="DIR")
    parser.add_argument("--crops", type=int, default=12, metavar="N", help="per photo (%(default)s)")
    parser.add_argument("--scenes", type=int, default=10, metavar="N", help="per shape (%(default)s)")
    parser.add_argument("--backend", default="onnxruntime", help="(%(default)s)")
    harness.add_options(parser)
    args = parser.parse_args()
    harness.require(args.backend, files=(args.images,))
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "numpy"))
    names = (rectangle_sets.SMALLEST, *rectangle_sets.SETS)
    photos = _photos(args, names)
    rows = harness.show_rows(f"{args.crops} crops of each photo, detections of score {_SCORE} and up", photos)
    scenes = _scenes(args, names)
    rows += harness.show_rows(f"{args.scenes} drawn scenes at each of {len(_RATIOS)} shapes, {SEGMENTER}", scenes)
    kept = {row["set"]: row["kept of smallest"] for row in photos}
    recall = {row["set"]: row["recall"] for row in scenes}
    chosen = rectangle_sets.chosen()
    checks = [
        harness.Check("photos: detections kept, the chosen set minus the square",
                       kept[chosen] - kept[rectangle_sets.SQUARE], ">=", -_NOISE),
        harness.Check("scenes: recall, the chosen set minus the smallest rectangle",
                       recall[chosen] - recall[rectangle_sets.SMALLEST], ">=", -_RECALL_NOISE),
    ]  # fmt: skip
    return harness.finish(args, facts, rows, checks)


def _run(pipeline: Pipeline, frames: Iterable[NDArray[np.uint8]], name: str) -> list[Result]:
    with rectangle_sets.using(name) as rectangle:
        return [pipeline(frame, rectangle=rectangle) for frame in frames]


def _photos(args: argparse.Namespace, names: Sequence[str]) -> list[dict[str, Any]]:
    """A row per set: which detections of the smallest rectangle, and of the square, it keeps."""
    pipeline = Pipeline(args.model, backend=args.backend, precision="fp32", conf=_MIN_SCORE)
    generator = np.random.default_rng(0)
    photos = [read_image(path) for path in sorted(args.images.iterdir())]
    crops = [_crop(photo, generator) for photo in photos for _ in range(args.crops)]
    found = {name: _run(pipeline, crops, name) for name in names}
    rows = []
    for name in names:
        row: dict[str, Any] = {"set": name}
        row["detections"] = sum(int((result.scores >= _SCORE).sum()) for result in found[name])
        for reference in (rectangle_sets.SMALLEST, rectangle_sets.SQUARE):
            row |= {f"{key} of {reference}": value for key, value in _kept(found[reference], found[name]).items()}
        rows.append(row)
    return rows


def _crop(photo: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """A crop of a photo with a random shape, as large as possible or a little smaller."""
    height, width = photo.shape[:2]
    ratio = float(np.exp(generator.uniform(-1, 1) * np.log(_LONGEST)))
    part_h = min(height, width / ratio) * generator.uniform(0.7, 1)
    size = max(int(part_h), 1), max(int(part_h * ratio), 1)
    top, left = generator.integers(0, height - size[0] + 1), generator.integers(0, width - size[1] + 1)
    return np.ascontiguousarray(photo[top : top + size[0], left : left + size[1]])


def _kept(expected: Sequence[Result], found: Sequence[Result]) -> dict[str, float]:
    """The share of detections that are found again, and the mean differences of these."""
    counted, again, pairs = 0, 0, []
    for theirs, ours in zip(expected, found, strict=True):
        overlap = box_ious(theirs.boxes, ours.boxes) * (theirs.class_ids[:, None] == ours.class_ids)
        for index in np.flatnonzero(theirs.scores >= _SCORE):
            counted += 1
            best = int(overlap[index].argmax()) if len(ours) else -1
            if best < 0 or overlap[index, best] < _SAME_IOU:
                continue
            again += bool(ours.scores[best] >= _SCORE)
            mask = mask_ious(theirs.masks()[index : index + 1], ours.masks()[best : best + 1])[0, 0]
            pairs.append((overlap[index, best], mask, abs(theirs.scores[index] - ours.scores[best])))
    if not pairs:
        raise harness.BenchmarkError("expected photos of objects that the model knows, found none")
    box, mask, score = np.mean(pairs, axis=0).tolist()
    return {"kept": round(again / counted, 4), "box IoU": round(box, 4), "mask IoU": round(mask, 4),
            "score off": round(score, 4)}  # fmt: skip


def _scenes(args: argparse.Namespace, names: Sequence[str]) -> list[dict[str, Any]]:
    """A row per set: its detections in drawn scenes, in landscape and portrait."""
    pipeline = Pipeline(SEGMENTER, backend=args.backend, precision="fp32")
    sizes = [(round(_SCENE_PX / ratio**0.5), round(_SCENE_PX * ratio**0.5)) for ratio in _RATIOS]
    sizes = [size[::-1] if index % 2 else size for index, size in enumerate(sizes)]
    scenes = [draw_scene(UNSEEN_SEED + seed, *size) for size in sizes for seed in range(args.scenes)]
    rows = []
    for name in names:
        objects, right, wrong, ious = 0, 0, 0, list[float]()
        for scene, result in zip(scenes, _run(pipeline, (scene.frame for scene in scenes), name), strict=True):
            overlap = mask_ious(result.masks(), scene.masks)
            counts = counting_items(scene)
            best = overlap.max(axis=0, initial=0)[counts]
            objects += int(counts.sum())
            right += int((best >= _SAME_IOU).sum())
            ious += best[best >= _SAME_IOU].tolist()
            wrong += int((overlap.max(axis=1, initial=0) < _SAME_IOU).sum())
        rows.append({"set": name, "objects": objects, "recall": right / objects, "wrong": wrong,
                     "mask IoU": round(float(np.mean(ious)), 4)})  # fmt: skip
    return rows


if __name__ == "__main__":
    harness.entry(main)
