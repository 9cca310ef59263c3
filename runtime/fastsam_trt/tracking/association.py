"""Association: match the boxes of a frame with tracks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.segmentation.nms import box_ious

IMPOSSIBLE = np.float32(-1)
"""Affinity of a track and a box that can't be the same object."""

_MIN_SIDE_PX = 1.0  # so that a box without area has a size to compare
_MIN_SIZE_RATIO = 0.25  # below it lie a part and its whole, or an object and what hides most of it
_MIN_IOU = 0.2
_MIN_PROXIMITY = 0.6  # suffices without any IoU: a small, fast object leaves its box within one frame
_REACH = 1.25  # distance of zero proximity, as a multiple of the geometric mean of the two diagonals
_OTHER_CLASS_LOSS = 0.1


def affinities(
    predicted: NDArray[np.float32],
    predicted_classes: NDArray[np.int32],
    boxes: NDArray[np.float32],
    class_ids: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Compute how likely each box continues each track.

    The affinity is the mean of IoU and proximity of the centres, times the square root of the size ratio (the smaller
    width over the larger, times the same of the heights). It is a little lower if the classes differ, because classes
    flicker. The size has its own factor because of nested segments: a part that covers 60 % of its whole has an IoU of
    0.6 with it.

    Args:
        predicted: (t, 4) float32 xyxy, px: predicted boxes of the tracks.
        predicted_classes: (t,) int32.
        boxes: (n, 4) float32 xyxy, px.
        class_ids: (n,) int32.

    Returns:
        (t, n) float32 up to 1; `IMPOSSIBLE` where the two can't be the same object.
    """
    ious = box_ious(predicted, boxes)
    sides, other_sides = (np.maximum(xyxy[:, 2:] - xyxy[:, :2], _MIN_SIDE_PX) for xyxy in (predicted, boxes))
    centres, other_centres = ((xyxy[:, :2] + xyxy[:, 2:]) / 2 for xyxy in (predicted, boxes))
    size_ratio, squared_distance = np.ones_like(ious), np.zeros_like(ious)
    for axis in range(2):  # two matrices per axis are several times faster than one of three dimensions
        ratio = sides[:, None, axis] / other_sides[None, :, axis]
        size_ratio *= np.minimum(ratio, 1 / ratio)
        squared_distance += (centres[:, None, axis] - other_centres[None, :, axis]) ** 2
    reach = np.outer(np.sqrt(np.hypot(*sides.T)), _REACH * np.sqrt(np.hypot(*other_sides.T)))
    proximity = np.maximum(1 - np.sqrt(squared_distance) / reach, 0)
    affinity = ((ious + proximity) / 2 * np.sqrt(size_ratio)).astype(np.float32)
    affinity -= np.float32(_OTHER_CLASS_LOSS) * (predicted_classes[:, None] != class_ids[None])
    possible = (size_ratio >= _MIN_SIZE_RATIO) & ((ious >= _MIN_IOU) | (proximity >= _MIN_PROXIMITY))
    affinity[~possible] = IMPOSSIBLE
    return affinity


def match_greedily(affinity: NDArray[np.float32], min_affinity: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair rows and columns greedily: first the best pair of all, then the best of the remaining, and so on.

    A pair that is the best of its row and of its column is in the greedy result whatever else is. So all such pairs are
    taken at once, and a few rounds suffice. Ties go to the lower row, then to the lower column.

    Args:
        affinity: (t, n) float32.
        min_affinity: Lowest affinity of a pair.

    Returns:
        Rows and columns of the k pairs: two (k,) arrays, in no particular order.
    """
    rows, columns = np.arange(affinity.shape[0]), np.arange(affinity.shape[1])
    paired_rows, paired_columns = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    remaining = affinity
    while remaining.size:
        best = remaining.argmax(axis=1)
        good = remaining[np.arange(len(remaining)), best] >= min_affinity
        mutual = np.flatnonzero(good & (remaining.argmax(axis=0)[best] == np.arange(len(remaining))))
        if not len(mutual):
            break
        paired_rows.append(rows[mutual])
        paired_columns.append(columns[best[mutual]])
        good[mutual] = False
        free = np.ones(len(columns), np.bool_)
        free[best[mutual]] = False
        remaining, rows, columns = remaining[np.ix_(good, free)], rows[good], columns[free]
    return np.concatenate(paired_rows), np.concatenate(paired_columns)
