"""Refreshes of a track's embedding: how urgent one is, and how the new embedding is blended with the old one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.clip.refresh_schedule import RefreshSchedule


def refresh_urgency(
    records: NDArray[Any], sides_px: NDArray[np.float32], schedule: RefreshSchedule
) -> NDArray[np.float32]:
    """Compute how urgently the embeddings of tracks need a refresh.

    The urgency is the age of the embedding over its interval, which grows with each embedding. A box that changed its
    width or height is due at once, and a close decision raises the urgency.

    Args:
        records: (k,) rows of a `TrackTable`; the result is meaningless for tracks that were never embedded.
        sides_px: (k, 2) float32: width and height of their boxes now.
        schedule: The intervals and thresholds.

    Returns:
        (k,) float32, from 0; a refresh is due from 1 on.
    """
    intervals = np.array(schedule.refresh_intervals_frames, np.float32)
    age = records["age_frames"]
    by_age = age / intervals[np.clip(records["embed_count"] - 1, 0, len(intervals) - 1)]
    now, then = np.maximum(sides_px, 1), np.maximum(records["embedded_sides_px"], 1)
    resize = np.abs(np.log(now / then)).max(axis=1, initial=0) / np.log(schedule.resize_ratio)
    by_resize = np.where(resize > 1, schedule.resize_urgency * resize, 0)
    margin = np.nan_to_num(records["margin"], nan=1.0)
    closeness = np.clip(1 - margin / schedule.close_margin, 0, 1)
    urgency = np.maximum(by_age, by_resize) * (1 + schedule.close_urgency * closeness)
    rested = age >= np.minimum(records["embed_count"], schedule.min_gap_frames)
    return np.where(rested, urgency, 0).astype(np.float32)


def blend(
    records: NDArray[Any],
    old: NDArray[np.float32],
    sides_px: NDArray[np.float32],
    new: NDArray[np.float32],
    schedule: RefreshSchedule,
) -> NDArray[np.float32]:
    """Blend new embeddings with the old ones of the same tracks.

    The old embedding counts less if it was made on a smaller box, and not at all if the object has changed its
    appearance since.

    Args:
        records: (k,) rows of a `TrackTable`, as they were before the new embeddings.
        old, new: (k, d) float32, rows of length one; `old` is ignored where a track was never embedded.
        sides_px: (k, 2) float32: width and height of the boxes that `new` was made on.
        schedule: The weights.

    Returns:
        (k, d) float32, rows of length one.
    """
    areas, old_areas = (np.maximum(sides, 1).prod(axis=1) for sides in (sides_px, records["embedded_sides_px"]))
    shrink = np.minimum(old_areas / areas, 1) ** schedule.growth_power
    weight = schedule.old_weight * shrink * (records["embed_count"] > 0) * ~records["changed"]
    mean = (new + weight[:, None] * old).astype(np.float32)
    lengths = np.linalg.norm(mean, axis=1, keepdims=True)
    blended: NDArray[np.float32] = np.divide(mean, lengths, out=new.copy(), where=lengths > 1e-6)
    return blended
