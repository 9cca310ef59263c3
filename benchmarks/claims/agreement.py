"""Compare the detections, boxes and masks of our pipeline with those of ultralytics' prediction in PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from claims.common import harness, reference

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import BackendUnavailableError
from fastsam_trt import Pipeline, Result
from fastsam_trt.frames.image import read_image
from fastsam_trt.segmentation.nms import box_ious

_CONF, _IOU, _IMGSZ_PX = 0.25, 0.7, 640
_COUNTED_SCORE = 0.3  # rounding may move detections closer to the threshold across it
_SAME_THING = 0.5  # box IoU above which two detections show the same object
_BACKENDS = (("onnxruntime", "fp32", 0.98, 0.95), ("openvino", "fp32", 0.98, 0.95), ("openvino", "bf16", 0.95, 0.90))
"""Backend, precision, bound of the smallest box IoU, bound of the smallest mask IoU."""


def main() -> int:
    """Compare on every photo and backend."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=harness.SHARED / "images", help="folder of photos")
    parser.add_argument("--weights", type=Path, default=reference.WEIGHTS, help="ultralytics' checkpoint")
    parser.add_argument("--model", default="yolov8n-seg", help="our export of it: name, folder or file")
    harness.add_options(parser)
    args = parser.parse_args()
    harness.require("torch", "ultralytics", files=(args.images, args.weights))
    reference.check_same_weights(args.model, args.weights)
    photos = {path.name: read_image(path) for path in sorted(args.images.glob("*.jpg"))}
    if not photos:
        raise harness.BenchmarkError(f"expected photos (*.jpg) in {args.images}, found none")
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "ultralytics", "torch", "numpy"))
    yolo = reference.load(args.weights)
    options = {"conf": _CONF, "iou": _IOU, "imgsz": _IMGSZ_PX, "retina_masks": True, "device": "cpu", "verbose": False}
    expected = {name: yolo.predict(photo, **options)[0] for name, photo in photos.items()}
    rows, checks = [], []
    for backend, precision, box_bound, mask_bound in _BACKENDS:
        side = f"{backend} {precision}"
        try:
            pipeline = Pipeline(args.model, backend=backend, precision=precision, conf=_CONF, iou=_IOU, imgsz=_IMGSZ_PX)
        except BackendUnavailableError as error:
            print(f"skipped: {side}: {error}")
            continue
        pairs = [_pairs(pipeline(photo, rectangle="smallest"), expected[name]) for name, photo in photos.items()]
        overlaps = np.concatenate([each for each, _ in pairs])
        if not len(overlaps):
            raise harness.BenchmarkError(
                f"expected photos with objects in {args.images}, found no detection in any of them"
            )
        found = int((overlaps[:, 0] > _SAME_THING).sum())
        box, mask = overlaps.min(axis=0, initial=1).tolist()
        extra = sum(each for _, each in pairs)
        rows.append(
            {"backend": side, "expected": len(overlaps), "found": found, "extra": extra,
             "min box IoU": box, "min mask IoU": mask}
        )  # fmt: skip
        checks += [
            harness.Check(f"{side}: detections found", found, "==", len(overlaps)),
            harness.Check(f"{side}: smallest box IoU", box, ">=", box_bound),
            harness.Check(f"{side}: smallest mask IoU", mask, ">=", mask_bound),
        ]
    counted = f"detections of score >= {_COUNTED_SCORE}"
    shown = harness.show_rows(f"{len(photos)} photos compared with ultralytics PyTorch fp32, {counted}", rows)
    return harness.finish(args, facts, shown, checks)


def _pairs(ours: Result, theirs: Any) -> tuple[NDArray[np.float64], int]:
    """Match each counted detection of the reference, best first, to ours of its class with the best box IoU.

    Args:
        ours: Our result for a photo.
        theirs: ultralytics' result for it, masks at the photo's size.

    Returns:
        (k, 2) box and mask IoU of the k counted detections, zeros without a partner; and the number of our detections
        of such a score without a partner.
    """
    masks = ours.masks()
    overlaps = []
    free = np.ones(len(ours), np.bool_)
    for index in range(len(theirs)):  # ultralytics sorts by score
        if float(theirs.boxes.conf[index]) < _COUNTED_SCORE:
            continue
        boxes = box_ious(theirs.boxes.xyxy[index : index + 1].numpy(), ours.boxes)[0]
        boxes[~free | (ours.class_ids != int(theirs.boxes.cls[index]))] = 0
        best = int(boxes.argmax()) if len(boxes) else -1
        if best < 0 or boxes[best] <= _SAME_THING:
            overlaps.append((0.0, 0.0))
            continue
        free[best] = False
        mask = theirs.masks.data[index].numpy().astype(np.bool_)
        union = np.logical_or(mask, masks[best]).sum()
        overlaps.append((float(boxes[best]), float(np.logical_and(mask, masks[best]).sum() / union) if union else 1.0))
    extra = int((free & (ours.scores >= _COUNTED_SCORE)).sum())
    return np.array(overlaps, np.float64).reshape(-1, 2), extra


if __name__ == "__main__":
    harness.entry(main)
