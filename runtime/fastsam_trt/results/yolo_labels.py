"""Segments in ultralytics' label format for training YOLO: one line of text per segment.

https://docs.ultralytics.com/datasets/segment/
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.results.outlines import centre_rings, join
from fastsam_trt.results.selected import SelectedSegments

_LEAST_VERTICES = 3


def label_lines(result: SelectedSegments, classes: Sequence[int | None], *, confidence: bool = False) -> str:
    """The selected segments as lines `class x y x y ...`.

    The polygon goes through the centres of boundary pixels, in fractions of the frame's width and height. ultralytics
    fills a polygon including its outline, which gives back the mask. The format has one polygon per line, so the parts
    and holes of a segment are joined by lines that are traversed both ways; ultralytics draws those one pixel wide.

    Args:
        result: The frame's result; its masks are decoded if they are not yet.
        classes: N class numbers from 0; segments whose class is None or whose mask is empty are skipped.
        confidence: Whether lines end with the score of the segment, as with ultralytics' `save_conf`.

    Returns:
        The text of the file; empty if there are no segments.
    """
    size = np.array(result.size[::-1])
    lines = []
    for number, score, crop in zip(classes, result.scores.tolist(), result.mask_crops(), strict=True):
        if number is None or not crop.pixels.any():
            continue
        values = [*(joined_outline(crop) / size).ravel().tolist(), *([score] if confidence else [])]
        lines.append(" ".join([str(number), *(f"{value:.6g}" for value in values)]) + "\n")
    return "".join(lines)


def joined_outline(crop: MaskCrop) -> NDArray[np.float64]:
    """One polygon for a whole mask that is not empty, through the centres of its boundary pixels.

    Returns:
        (k, 2) xy, px of the frame counted from edges, with k of 3 or more.
    """
    ring = join([ring for part in centre_rings(crop.pixels) for ring in part])
    missing = max(_LEAST_VERTICES - len(ring), 0)
    closed = np.concatenate([ring, np.repeat(ring[-1:], missing, axis=0)])
    outline: NDArray[np.float64] = closed + np.array([crop.left + 0.5, crop.top + 0.5])
    return outline
