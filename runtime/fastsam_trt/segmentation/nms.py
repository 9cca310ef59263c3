"""Non-maximum suppression in exact greedy order, without a loop over candidates, and the IoU of boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 128


def nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int32],
    iou: float,
    limit: int,
) -> NDArray[np.intp]:
    """Keep the best of each group of overlapping boxes of one class.

    The result is that of the greedy algorithm: take the best box, drop those that overlap it, repeat. Candidates are
    processed in blocks by falling score. First, boxes that overlap one kept from an earlier block are dropped. Within
    the block, the greedy rule is the fixed point of "kept unless a better box that is kept overlaps"; a few sweeps
    reach it.

    Args:
        boxes: (n, 4) float32 xyxy.
        scores: (n,) float32.
        class_ids: (n,) int32; boxes of different classes are never compared. All equal: class-agnostic NMS.
        iou: Boxes whose IoU with a better one is above this are dropped.
        limit: Most boxes to keep.

    Returns:
        Indices of the kept boxes, best first. Equal scores stay in their order.
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


def box_ious(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of every pair of boxes: (n, 4) and (m, 4) xyxy to (n, m); 0 where both are empty."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(high - low, 0)
    inter = sides[..., 0] * sides[..., 1]
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    union = area_a[:, None] + area_b[None] - inter
    overlap: NDArray[np.float32] = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    return overlap


def _overlaps(
    boxes: NDArray[np.float32], class_ids: NDArray[np.int32], a: NDArray[np.intp], b: NDArray[np.intp], iou: float
) -> NDArray[np.bool_]:
    """Which boxes at indices a overlap boxes of their class at indices b by more than `iou`: (len(a), len(b))."""
    same: NDArray[np.bool_] = class_ids[a][:, None] == class_ids[b]
    return same & (box_ious(boxes[a], boxes[b]) > iou)


def _greedy(beaten_by: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of n boxes, best first, the greedy rule keeps: (n,). `beaten_by[i, j]`: i is better and overlaps j."""
    keep: NDArray[np.bool_] = np.logical_not(beaten_by.any(axis=0))
    while True:
        again: NDArray[np.bool_] = np.logical_not(beaten_by[keep].any(axis=0))
        if (again == keep).all():
            return keep
        keep = again
