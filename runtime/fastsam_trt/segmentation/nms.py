"""Non-maximum suppression, exact greedy order, without a loop over candidates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.segmentation.box_iou import box_ious

_BLOCK = 128


def nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int32],
    iou: float,
    limit: int,
) -> NDArray[np.intp]:
    """Keep the best of each group of overlapping boxes of one class.

    The result is that of the greedy algorithm (take the best, drop what overlaps it, repeat). Candidates are taken in
    blocks by falling score: what overlaps a box kept earlier falls at once; within a block the greedy rule is the
    fixed point of "kept unless a kept, better one overlaps", which a few sweeps reach.

    Args:
        boxes: (n, 4) float32 xyxy.
        scores: (n,) float32.
        class_ids: (n,) int32; boxes of different classes do not touch each other. All the same: class-agnostic NMS.
        iou: Boxes that overlap a better one by more than this fall.
        limit: Most boxes to keep.

    Returns:
        Indices of the kept boxes, best first. Ties keep the order given.
    """
    order = np.argsort(-scores, kind="stable")
    if len(order) < 2:
        return order[:limit]
    boxes, class_ids = boxes[order], class_ids[order]
    kept = np.empty(0, np.intp)
    for start in range(0, len(order), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(order)))
        if kept.size:
            block = block[~_overlaps(boxes, class_ids, block, kept, iou).any(axis=1)]
        beaten_by = np.triu(_overlaps(boxes, class_ids, block, block, iou), 1)  # [i, j]: i is better and overlaps j
        kept = np.concatenate([kept, block[_greedy(beaten_by)]])
        if len(kept) >= limit:
            break
    return order[kept[:limit]]


def _overlaps(
    boxes: NDArray[np.float32], class_ids: NDArray[np.int32], a: NDArray[np.intp], b: NDArray[np.intp], iou: float
) -> NDArray[np.bool_]:
    """Which of some boxes, by index, overlap which others of their class too far: (len(a), len(b))."""
    same: NDArray[np.bool_] = class_ids[a][:, None] == class_ids[b]
    return same & (box_ious(boxes[a], boxes[b]) > iou)


def _greedy(beaten_by: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of a few boxes, best first, the greedy rule keeps, by which overlap better ones: (n, n) to (n,)."""
    keep: NDArray[np.bool_] = np.logical_not(beaten_by.any(axis=0))
    while True:
        again: NDArray[np.bool_] = np.logical_not(beaten_by[keep].any(axis=0))
        if (again == keep).all():
            return keep
        keep = again
