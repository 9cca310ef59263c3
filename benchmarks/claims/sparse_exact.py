"""Compare the results of models that compute only what can be selected with those of their dense graphs.

Both run in fp32 on every backend of the processor, on photos, on drawn scenes, and on drawings whose
objects touch the corners and edges: in each mode of `compute`, everything and by a prompt. Then both run in bf16 on
OpenVINO, where the boxes of each are compared with those of the dense graph in fp32.

Missing models are made in `--models`. Without trained weights (all but `yolov8n-seg`) they find random boxes; the
threshold is then one that leaves a few dozen.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claims.common import harness
from claims.common.edge_scenes import draw_edge_scenes
from claims.common.photos import list_photos
from claims.common.seeded_models import Models

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_trt import Pipeline
from fastsam_trt.demo import draw_scene
from fastsam_trt.frames.image import read_image
from fastsam_trt.results.result import Result
from fastsam_trt.sparse.crossing import COMPUTE_NAMES

_BACKENDS = ("openvino", "onnxruntime")  # also the names of their packages
_BOX_PX, _SAME_IOU = 1e-3, 0.7
_SEED = 9_100_000
_WANTED = 30  # segments, where the default threshold leaves none


@dataclass(slots=True)
class Difference:
    """Differences of results, over frames."""

    frames: int = 0
    segments: int = 0
    other_detections: int = 0
    box_px: float = 0.0
    score: float = 0.0
    mask_px: int = 0

    def add(self, dense: Result, sparse: Result) -> None:
        """Compare a frame. Without the same number and classes of segments, nothing else is compared."""
        self.frames += 1
        self.segments += len(dense)
        if not np.array_equal(dense.class_ids, sparse.class_ids):
            self.other_detections += 1
            return
        self.box_px = max(self.box_px, float(np.abs(dense.boxes - sparse.boxes).max(initial=0)))
        self.score = max(self.score, float(np.abs(dense.scores - sparse.scores).max(initial=0)))
        self.mask_px += int((dense.masks() != sparse.masks()).sum())


def main() -> int:
    """Compare every pair of models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="*", default=[harness.SHARED / "images"], help="photos, or folders")
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="FOLDER",
                        help="folder of models; missing ones are made there (%(default)s)")  # fmt: skip
    parser.add_argument("--name", action="append", metavar="NAME",
                        help="model in it, such as yolov8n-seg, yolo11s-seg, fastsam-s; repeatable")  # fmt: skip
    parser.add_argument("--pair", action="append", type=Path, nargs=2, metavar=("DENSE", "SPARSE"),
                        help="a dense model, and the same one cut into parts: folder or file; repeatable")  # fmt: skip
    parser.add_argument("--scenes", type=int, default=200, help="number of drawn scenes (%(default)s)")
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True,
                        help="compare bf16, too, which the processor must have")  # fmt: skip
    harness.add_options(parser)
    args = parser.parse_args()
    harness.require(*_BACKENDS)
    facts = harness.machine(("fastsam-trt", "openvino", "onnxruntime", "numpy"))
    frames = {
        "photos": [read_image(photo) for photo in list_photos(args.photos)],
        "scenes": [draw_scene(_SEED + index).frame for index in range(args.scenes)],
        "edges": draw_edge_scenes(),
    }
    pairs = [(dense.stem, dense, sparse) for dense, sparse in args.pair or ()]
    names = args.name or ([] if args.pair else ["yolov8n-seg"])
    pairs += [(name, *Models(args.models).pair(name)) for name in names]
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    for name, dense, sparse in pairs:
        for compare in (_fp32, _bf16) if args.bf16 else (_fp32,):
            more_rows, more_checks = compare(name, dense, sparse, frames)
            rows += more_rows
            checks += more_checks
    return harness.finish(args, facts, rows, checks)


def _fp32(
    name: str, dense: Path, sparse: Path, frames: dict[str, list[NDArray[np.uint8]]]
) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    """All backends and modes in fp32."""
    rows: list[dict[str, Any]] = []
    for backend in _BACKENDS:
        options: dict[str, Any] = {"backend": backend, "precision": "fp32", "selector": "labels"}
        with Pipeline(dense, **options) as first:
            conf = usual_conf(first, frames["photos"])
            for compute in COMPUTE_NAMES:
                with Pipeline(sparse, **options, compute=compute) as second:
                    rows += [
                        {"backend": backend, "compute": compute, "conf": conf, "frames of": kind, **row}
                        for kind, each in frames.items()
                        for row in _compare(first, second, each, conf)
                    ]
    printed = harness.show_rows(f"{name}, fp32, dense and sparse", rows)
    segments = sum(row["segments"] for row in rows)
    return printed, [
        harness.Check(f"{name}, fp32: segments compared", segments, ">=", 1),
        harness.Check(
            f"{name}, fp32: frames with other detections", sum(row["other detections"] for row in rows), "==", 0
        ),
        harness.Check(f"{name}, fp32: largest box difference, px", max(row["box px"] for row in rows), "<=", _BOX_PX),
        harness.Check(f"{name}, fp32: pixels of masks that differ", sum(row["mask px"] for row in rows), "==", 0),
    ]


def _compare(
    dense: Pipeline, sparse: Pipeline, frames: Sequence[NDArray[np.uint8]], conf: float
) -> list[dict[str, Any]]:
    """Everything, and by the class that most segments of the frame have, if the classes have names."""
    names = dense.segmenter.class_names
    everything, prompted = Difference(), Difference()
    for frame in frames:
        first = dense(frame, conf=conf, rectangle="smallest")
        everything.add(first, sparse(frame, conf=conf, rectangle="smallest"))
        if len(names) > 1:
            usual = np.bincount(first.class_ids).argmax() if len(first) else 0
            options: dict[str, Any] = {"conf": conf, "prompts": [names[usual]], "rectangle": "smallest"}
            prompted.add(dense(frame, **options), sparse(frame, **options))
    found = {"everything": everything, "one class": prompted}
    return [
        {"selected": selected, "frames": each.frames, "segments": each.segments,
         "other detections": each.other_detections, "box px": each.box_px, "score": each.score,
         "mask px": each.mask_px}
        for selected, each in found.items()
        if each.frames
    ]  # fmt: skip


def _bf16(
    name: str, dense: Path, sparse: Path, frames: dict[str, list[NDArray[np.uint8]]]
) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    """Boxes of both in bf16, compared with those of the dense graph in fp32."""
    options: dict[str, Any] = {"backend": "openvino", "selector": "labels"}
    errors: dict[str, list[float]] = {"dense": [], "sparse": []}
    with (
        Pipeline(dense, precision="fp32", **options) as exact,
        Pipeline(dense, precision="bf16", **options) as first,
        Pipeline(sparse, precision="bf16", **options) as second,
    ):
        conf = usual_conf(exact, frames["photos"])
        for frame in (frame for each in frames.values() for frame in each):
            expected, *found = (
                pipeline(frame, conf=conf, rectangle="smallest") for pipeline in (exact, first, second)
            )  # fmt: skip
            for side, result in zip(errors, found, strict=True):
                errors[side] += box_errors(expected, result)
    rows = [
        {"side": f"{side} bf16", "boxes": len(each), "mean px": float(np.mean(each)), "worst px": max(each)}
        for side, each in errors.items()
        if each
    ]
    printed = harness.show_rows(f"{name}, openvino: boxes compared with those of the dense graph in fp32", rows)
    mean = {side: float(np.mean(each)) if each else np.nan for side, each in errors.items()}
    return printed, [
        harness.Check(f"{name}: mean box error in bf16, sparse / dense", mean["sparse"] / mean["dense"], "<=", 1.0)
    ]


def box_errors(expected: Result, found: Result) -> list[float]:
    """Largest difference of the edges of each expected box to the found one of its class that overlaps it most, px.

    Boxes without such a partner are left out: near the threshold each precision finds others.
    """
    errors = []
    for box, class_id in zip(expected.boxes, expected.class_ids, strict=True):
        others = found.boxes[found.class_ids == class_id]
        overlaps = _iou(box, others)
        if overlaps.max(initial=0) >= _SAME_IOU:
            errors.append(float(np.abs(others[overlaps.argmax()] - box).max()))
    return errors


def _iou(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """IoU of a box with others (n, 4): (n,)."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = sides.clip(0).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    return np.asarray(shared / ((box[2:] - box[:2]).prod() + areas - shared), np.float32)


def usual_conf(pipeline: Pipeline, frames: Sequence[NDArray[np.uint8]]) -> float:
    """The model's threshold, or if nothing clears it in any frame, one that leaves a few dozen in the first."""
    usual = float(pipeline.segmenter.thresholds.conf)
    if any(len(pipeline(frame)) for frame in frames):
        return usual
    low, high = 0.0, usual
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if len(pipeline(frames[0], conf=middle)) > _WANTED else (low, middle)
    return high


if __name__ == "__main__":
    harness.entry(main)
