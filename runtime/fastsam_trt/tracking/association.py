"""Association: which of this frame's boxes continues which track."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.segmentation.nms import box_ious

NEVER = np.float32(-1)

_LEAST_SIDE_PX = 1.0  # a box of no area still has a size to compare
_LEAST_SIZE = 0.25  # a part and its whole, or an object and what hides most of it, are further apart
_LEAST_IOU = 0.2
_LEAST_NEARNESS = 0.6  # in place of IoU: a small, fast object leaves its own box within one frame
_REACH = 1.25  # of the geometric mean of two boxes' diagonals: the distance where nearness is 0
_OTHER_CLASS = 0.1


def affinities(
    predicted: NDArray[np.float32],
    predicted_classes: NDArray[np.int32],
    boxes: NDArray[np.float32],
    class_ids: NDArray[np.int32],
) -> NDArray[np.float32]:
    """How likely each box continues each track.

    The mean of IoU and nearness of centres, times the likeness of the sizes (the smaller over the larger width, times
    that of the heights, under a root), less a little where the classes differ: a class flickers. Sizes are compared
    for themselves because of nested segments: a part that fills 60 percent of its whole has an IoU of 0.6 with it.

    Args:
        predicted: (t, 4) float32 xyxy, px: where the tracks should be.
        predicted_classes: (t,) int32.
        boxes: (n, 4) float32 xyxy, px.
        class_ids: (n,) int32.

    Returns:
        (t, n) float32 up to 1; `NEVER` where the two can't be one object.
    """
    ious = box_ious(predicted, boxes)
    sides, other = (np.maximum(each[:, 2:] - each[:, :2], _LEAST_SIDE_PX) for each in (predicted, boxes))
    middles, others = ((each[:, :2] + each[:, 2:]) / 2 for each in (predicted, boxes))
    size, apart = np.ones_like(ious), np.zeros_like(ious)
    for axis in range(2):  # two matrices an axis, not one of three dimensions: several times faster
        ratio = sides[:, None, axis] / other[None, :, axis]
        size *= np.minimum(ratio, 1 / ratio)
        apart += (middles[:, None, axis] - others[None, :, axis]) ** 2
    reach = np.outer(np.sqrt(np.hypot(*sides.T)), _REACH * np.sqrt(np.hypot(*other.T)))
    near = np.maximum(1 - np.sqrt(apart) / reach, 0)
    score = ((ious + near) / 2 * np.sqrt(size)).astype(np.float32)
    score -= np.float32(_OTHER_CLASS) * (predicted_classes[:, None] != class_ids[None])
    possible = (size >= _LEAST_SIZE) & ((ious >= _LEAST_IOU) | (near >= _LEAST_NEARNESS))
    score[~possible] = NEVER
    return score


def best_first(affinity: NDArray[np.float32], least: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair rows and columns greedily: the best pair of all, then the best of what is left, and so on.

    A pair that is the best of its row and of its column is one that the greedy rule takes, whatever else it takes
    before; so all such pairs are taken at once, and a few rounds do. Equal affinities go by row, then by column.

    Args:
        affinity: (t, n) float32.
        least: Pairs below it are not made.

    Returns:
        Rows and columns of the k pairs: two (k,) arrays, in no particular order.
    """
    rows, columns = np.arange(affinity.shape[0]), np.arange(affinity.shape[1])
    paired_rows, paired_columns = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    left = affinity
    while left.size:
        best = left.argmax(axis=1)
        good = left[np.arange(len(left)), best] >= least
        mutual = np.flatnonzero(good & (left.argmax(axis=0)[best] == np.arange(len(left))))
        if not len(mutual):
            break
        paired_rows.append(rows[mutual])
        paired_columns.append(columns[best[mutual]])
        good[mutual] = False
        free = np.ones(len(columns), np.bool_)
        free[best[mutual]] = False
        left, rows, columns = left[np.ix_(good, free)], rows[good], columns[free]
    return np.concatenate(paired_rows), np.concatenate(paired_columns)
