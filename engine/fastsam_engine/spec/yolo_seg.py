"""Describe inputs and outputs of YOLO segmenters: YOLOv8-seg, YOLO11-seg, FastSAM, and YOLO26-seg end to end.

The exporter, which writes specs, and the reader of ultralytics' files share these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import Output

_FASTSAM = re.compile(r"fast[-_ ]?sam[-_ ]?[sx]?(?![a-z])", re.IGNORECASE)
_GENERIC_NAMES = {"object", "item"}  # FastSAM's one class, and what ultralytics calls it with single_cls


def letterbox_input(
    height: int,
    width: int,
    size_multiple: int | None,
    batch: tuple[int, int | None],
    dtype: Literal["float32", "float16"] = "float32",
) -> ImageInput:
    """The input of a YOLO graph: letterboxed RGB in 0..1, padded with grey 114."""
    return ImageInput(
        name="images",
        height=height,
        width=width,
        size_multiple=size_multiple,
        resize="letterbox",
        interpolation="bilinear",
        antialias=False,
        pad_value=114,
        colour="RGB",
        scale=1 / 255,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        dtype=dtype,
        batch=batch,
    )


def detections_output(classes: int, coefficients: int = 32) -> Output:
    """Boxes (cx, cy, w, h in input px), class scores in 0..1 and mask coefficients per anchor."""
    return Output("output0", "yolo-detections", f"N 4+{classes}+{coefficients} ANCHORS")


def end_to_end_output(coefficients: int = 32) -> Output:
    """Detections that need no NMS, best first: box (x0, y0, x1, y1 in input px), score, class id, coefficients."""
    return Output("output0", "yolo-end2end-detections", f"N K 6+{coefficients}")


def prototypes_output(coefficients: int = 32) -> Output:
    """Mask prototypes, one per coefficient."""
    return Output("output1", "mask-prototypes", f"N {coefficients} H/4 W/4")


def is_fastsam(class_names: Sequence[str], *origins: str) -> bool:
    """Whether a model is FastSAM, which segments everything without naming it.

    A single class is not enough, since other models may have one class, too. FastSAM's class has a generic name, and
    its file name or description contains FastSAM.

    Args:
        class_names: Its classes.
        origins: Names of the model or its weights, from file names and from the exporter's description.
    """
    generic = len(class_names) == 1 and class_names[0].strip().casefold() in _GENERIC_NAMES
    return generic and any(_FASTSAM.search(origin) for origin in origins)


def thresholds(*, fastsam: bool = False, nms: bool = True) -> dict[str, float]:
    """Default thresholds: ultralytics', or FastSAM's (its Inference.py).

    Without `nms` any overlap is allowed.
    """
    conf, iou = (0.4, 0.9) if fastsam else (0.25, 0.7)
    return {"conf": conf, "iou": iou if nms else 1.0, "max_segments": 300}
