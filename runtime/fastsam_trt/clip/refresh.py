"""When a track's embedding is made again, and what becomes of the old one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_INTERVALS = np.array([3, 10, 30, 90], np.float32)  # frames to the next embedding, after the first, second, ...
_CHANGE = 1.25  # of a side, either way
_CHANGE_FACTOR = 4.0  # a change goes before an age: the object, or what is seen of it, is another
_MOST_REST = 4  # frames between two embeddings, whatever the reason; one, two, three at first
_NEAR_MARGIN = 0.25
_NEAR_FACTOR = 2.0
_OLD_WEIGHT = 0.5  # against 1 of the new embedding, for boxes of one size
_GROWTH_POWER = 4  # how fast a view of a smaller area loses weight


def urgency(records: NDArray[Any], sides: NDArray[np.float32]) -> NDArray[np.float32]:
    """How urgently the embeddings of tracks should be made again.

    The age over the interval that holds for it, which grows with each embedding. A track whose box changed its width or
    height by a quarter is due at once, and one that CLIP was unsure of is due the sooner, the closer it was.

    Args:
        records: (k,) rows of a `TrackTable`; those that were never embedded mean nothing here.
        sides: (k, 2) float32 px: width and height of their boxes now.

    Returns:
        (k,) float32: due from 1 on, the more urgent the larger.
    """
    interval = _INTERVALS[np.clip(records["times"] - 1, 0, len(_INTERVALS) - 1)]
    overdue = records["age"] / interval
    now, then = np.maximum(sides, 1), np.maximum(records["sides"], 1)
    change = np.abs(np.log(now / then)).max(axis=1, initial=0) / np.log(_CHANGE)
    margin = np.nan_to_num(records["margin"], nan=1.0)
    closeness = np.clip(1 - margin / _NEAR_MARGIN, 0, 1)
    urgent = np.maximum(overdue, np.where(change > 1, _CHANGE_FACTOR * change, 0)) * (1 + _NEAR_FACTOR * closeness)
    rested = records["age"] >= np.minimum(records["times"], _MOST_REST)
    return np.where(rested, urgent, 0).astype(np.float32)


def blend(
    records: NDArray[Any], old: NDArray[np.float32], sides: NDArray[np.float32], new: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Mix new embeddings with the old ones of the same tracks.

    A mean of few views is steadier than one view; of many it would be unlike any text, whose cosines are calibrated on
    single views. What was seen of an object while its box was much smaller, half hidden or coming in, hardly counts,
    and what was seen before it changed its look counts nothing.

    Args:
        records: (k,) rows of a `TrackTable`, as they were before.
        old, new: (k, d) float32, rows of length one; `old` is of no matter where a track was never embedded.
        sides: (k, 2) float32 px: width and height of the boxes that `new` was made on.

    Returns:
        (k, d) float32, rows of length one.
    """
    areas, before = (np.maximum(each, 1).prod(axis=1) for each in (sides, records["sides"]))
    weight = _OLD_WEIGHT * np.minimum(before / areas, 1) ** _GROWTH_POWER * (records["times"] > 0) * ~records["changed"]
    mean = (new + weight[:, None] * old).astype(np.float32)
    lengths = np.linalg.norm(mean, axis=1, keepdims=True)
    blended: NDArray[np.float32] = np.divide(mean, lengths, out=new.copy(), where=lengths > 1e-6)
    return blended
