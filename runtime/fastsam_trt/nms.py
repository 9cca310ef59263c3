"""Non-maximum suppression, exact greedy order, without a loop over candidates."""

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

    The result is that of the greedy algorithm (take the best, drop what overlaps it, repeat). Candidates are taken in
    blocks by falling score: what overlaps a box kept earlier falls at once; within a block the greedy rule is the
    fixed point of "kept unless a kept, better one overlaps", which a few sweeps reach.

    Args:
        boxes: (n, 4) float32 xyxy.
        scores: (n,) float32.
        class_ids: (n,) int32; boxes of different classes do not touch each other.
        iou: Boxes that overlap a better one by more than this fall.
        limit: Most boxes to keep.

    Returns:
        Indices of the kept boxes, best first. Ties keep the order given.
    """
    order = np.argsort(-scores, kind="stable")
    if len(order) < 2:
        return order[:limit]
    span = float(boxes.max() - boxes.min()) + 1
    apart = boxes[order] + (class_ids[order] * np.float32(span))[:, None]  # classes moved out of each other's reach
    kept = np.empty(0, np.intp)
    for start in range(0, len(order), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(order)))
        if kept.size:
            block = block[~(_iou(apart[block], apart[kept]) > iou).any(axis=1)]
        kept = np.concatenate([kept, block[_greedy(apart[block], iou)]])
        if len(kept) >= limit:
            break
    return order[kept[:limit]]


def _greedy(boxes: NDArray[np.float32], iou: float) -> NDArray[np.bool_]:
    """Which of a few boxes, best first, the greedy rule keeps: (n,) bool."""
    beaten_by = np.triu(_iou(boxes, boxes) > iou, 1)  # [i, j]: i is better than j and overlaps it
    keep: NDArray[np.bool_] = np.logical_not(beaten_by.any(axis=0))
    while True:
        again: NDArray[np.bool_] = np.logical_not(beaten_by[keep].any(axis=0))
        if (again == keep).all():
            return keep
        keep = again


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of every pair: (n, 4) and (m, 4) xyxy to (n, m)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(high - low, 0)
    inter = sides[..., 0] * sides[..., 1]
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    union = area_a[:, None] + area_b[None] - inter
    overlap: NDArray[np.float32] = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    return overlap
