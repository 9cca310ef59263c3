"""Compare masks along the padded sides of frames with ultralytics' retina masks, on its ONNX export."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any, cast

from claims.common import harness

# isort: split
import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt import Pipeline
from fastsam_trt.frames.letterbox import fit

_EDGE_PX = 8
_SAME_BOX_PX = 1.0
_SHAPES = {"square": 640, "rectangular": [384, 640]}
_SIZES = (None, (1920, 1080), (1280, 720), (479, 640), (640, 387), (1500, 300), (90, 60))  # width, height, px
_BOUND_PX = 1
_SIDES = {
    "top": np.s_[:_EDGE_PX],
    "bottom": np.s_[-_EDGE_PX:],
    "left": np.s_[:, :_EDGE_PX],
    "right": np.s_[:, -_EDGE_PX:],
}


def main() -> int:
    """Compare every photo at several sizes, with a square and a rectangular input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=harness.SHARED / "models" / "yolov8n-seg.pt", metavar="FILE")
    parser.add_argument("--images", type=Path, default=harness.SHARED / "images", metavar="DIR")
    harness.add_options(parser)
    args = parser.parse_args()
    harness.require("torch", "ultralytics", files=(args.weights, args.images))
    facts = harness.machine(("fastsam-trt", "ultralytics", "torch", "onnxruntime", "numpy"))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for shape, imgsz in _SHAPES.items():
            rows += _compare(shape, _export(args.weights, Path(folder) / shape, imgsz), sorted(args.images.iterdir()))
    printed = harness.show_rows(f"difference of the pixel counts of a line, worst of the last {_EDGE_PX} lines", rows)
    checks = [
        harness.Check(f"{shape}: worst difference, px", max(row["worst_px"] for row in rows if row["input"] == shape),
                       "<=", _BOUND_PX)
        for shape in _SHAPES
    ]  # fmt: skip
    checks.append(harness.Check("masks compared", sum(row["masks"] for row in rows), ">=", 100))
    return harness.finish(args, facts, printed, checks)


def _export(weights: Path, folder: Path, imgsz: int | list[int]) -> Path:
    from ultralytics import YOLO

    folder.mkdir()
    copy = shutil.copy(weights, folder)  # ultralytics writes the export beside the weights
    return Path(YOLO(copy).export(format="onnx", imgsz=imgsz, verbose=False))


def _compare(shape: str, model: Path, photos: list[Path]) -> list[dict[str, Any]]:
    from ultralytics import YOLO
    from ultralytics.utils import LOGGER

    LOGGER.setLevel("ERROR")
    pipe = Pipeline(model, backend="onnxruntime", precision="fp32")
    theirs = YOLO(model, task="segment")
    rows = []
    for photo in photos:
        worst = dict.fromkeys(_SIDES, 0)
        count = 0
        for size in _SIZES:
            frame = cast("NDArray[np.uint8]", cv2.imread(str(photo)))
            if size is not None:
                frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
            ours, found = pipe(frame, rectangle="smallest"), theirs(frame, retina_masks=True, verbose=False)[0]
            if not len(ours) or found.masks is None:
                continue
            masks, boxes = found.masks.data.numpy().astype(bool), found.boxes.xyxy.numpy()
            for box, mask in zip(ours.boxes, ours.masks(), strict=True):
                apart = np.abs(boxes - box).max(axis=1)
                if apart.min() > _SAME_BOX_PX:
                    continue
                count += 1
                for side in _padded(pipe, frame):
                    lines = 1 if side in ("top", "bottom") else 0
                    counts = (each[_SIDES[side]].sum(axis=lines) for each in (mask, masks[apart.argmin()]))
                    worst[side] = max(worst[side], int(np.abs(np.subtract(*counts)).max()))
        rows.append({"input": shape, "photo": photo.name, "masks": count, **worst, "worst_px": max(worst.values())})
    return rows


def _padded(pipe: Pipeline, frame: NDArray[np.uint8]) -> list[str]:
    """The sides of a frame that are next to padding in the model's input."""
    letterbox = fit(*frame.shape[:2], cast("ImageInput", pipe.segmenter.session.spec.input))
    margins = {
        "top": letterbox.top,
        "bottom": letterbox.input_h - letterbox.content_h - letterbox.top,
        "left": letterbox.left,
        "right": letterbox.input_w - letterbox.content_w - letterbox.left,
    }
    return [side for side, margin in margins.items() if margin > 0]


if __name__ == "__main__":
    harness.entry(main)
