"""Labels of segments as YOLO trains on them: ultralytics' text format, a line a segment.

https://docs.ultralytics.com/datasets/segment/
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.results.outlines import centre_rings, join
from fastsam_trt.results.result import Result

_LEAST_VERTICES = 3


def label_lines(result: Result, classes: Sequence[int | None], *, confidence: bool = False) -> str:
    """The selected segments as lines `class x y x y ...`.

    The polygon of a line runs through the centres of the rim's pixels, as a fraction of the frame's width and height:
    ultralytics draws it with its rim, and so gets the mask back. The parts and holes of a segment are joined into one
    polygon, by lines there and back, since a line holds one; such a line is a pixel wide in what ultralytics draws.

    Args:
        result: The frame's result; its masks are decoded if they are not yet.
        classes: N classes from 0; segments that have none are left out, and those whose mask has no pixel.
        confidence: Whether each line ends with the segment's score, as ultralytics' `save_conf` has it.

    Returns:
        The text of the file; empty without segments.
    """
    size = np.array(result.frame.shape[1::-1])
    lines = []
    for number, score, crop in zip(classes, result.scores.tolist(), result.mask_crops(), strict=True):
        if number is None or not crop.pixels.any():
            continue
        values = [*(_outline(crop) / size).ravel().tolist(), *([score] if confidence else [])]
        lines.append(" ".join([str(number), *(f"{value:.6g}" for value in values)]) + "\n")
    return "".join(lines)


def _outline(crop: MaskCrop) -> NDArray[np.float64]:
    """One polygon for a whole mask, (k, 2) xy from edges of the frame, with k of 3 or more."""
    ring = join([ring for part in centre_rings(crop.pixels) for ring in part])
    missing = max(_LEAST_VERTICES - len(ring), 0)
    closed = np.concatenate([ring, np.repeat(ring[-1:], missing, axis=0)])
    outline: NDArray[np.float64] = closed + np.array([crop.left + 0.5, crop.top + 0.5])
    return outline
