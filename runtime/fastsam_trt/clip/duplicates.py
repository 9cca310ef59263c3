"""Duplicates: segments of one frame with the same box, which can share one crop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.segmentation.nms import box_ious

_MIN_IOU = 0.9  # an object found as two classes; at this IoU the crops hardly differ


def find_duplicates(
    boxes: NDArray[np.float32], wanted: NDArray[np.intp], known: NDArray[np.bool_], changed: NDArray[np.bool_]
) -> dict[int, int]:
    """Find segments that can take the embedding of another segment.

    Args:
        boxes: (n, 4) float32 xyxy, px.
        wanted: (k,) indices of the segments to embed, in order of priority.
        known: (n,) bool: which segments have a valid embedding.
        changed: (n,) bool: which segments look different since they were embedded. These take no embedding that was
            known before, only one made in this frame.

    Returns:
        Index of each duplicate in `wanted` to the index of the segment whose embedding it takes. That one is known or
        comes earlier in `wanted`, and is no duplicate itself.
    """
    duplicates: dict[int, int] = {}
    if not len(wanted):
        return duplicates
    same_box = box_ious(boxes[wanted], boxes) >= _MIN_IOU
    embedded_now = np.zeros(len(boxes), np.bool_)
    for index, same in zip(wanted.tolist(), same_box, strict=True):
        sources = np.flatnonzero(same & (embedded_now if changed[index] else embedded_now | known))
        if len(sources):
            duplicates[index] = int(sources[0])
        else:
            embedded_now[index] = True
    return duplicates
