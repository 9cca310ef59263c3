"""Twins: segments of one frame whose boxes are the same, so that one crop tells of all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.segmentation.nms import box_ious

_SAME_IOU = 0.9  # an object that the segmenter found as two classes; the crops hardly differ


def find_twins(
    boxes: NDArray[np.float32], wanted: NDArray[np.intp], known: NDArray[np.bool_], changed: NDArray[np.bool_]
) -> dict[int, int]:
    """Which segments need no crop, because another's says it.

    Args:
        boxes: (n, 4) float32 xyxy, px.
        wanted: (k,) indices of those that need an embedding, the most promising first.
        known: (n,) bool: whose embedding holds.
        changed: (n,) bool: which look otherwise than before; what was known of another is no answer for these.

    Returns:
        For each segment of `wanted` that has the box of another, which is known or comes earlier in `wanted`: that one,
        which is itself no key.
    """
    twins: dict[int, int] = {}
    if not len(wanted):
        return twins
    same = box_ious(boxes[wanted], boxes) >= _SAME_IOU
    told = np.zeros(len(boxes), np.bool_)
    for index, alike in zip(wanted.tolist(), same, strict=True):
        found = np.flatnonzero(alike & (told if changed[index] else told | known))
        if len(found):
            twins[index] = int(found[0])
        else:
            told[index] = True
    return twins
