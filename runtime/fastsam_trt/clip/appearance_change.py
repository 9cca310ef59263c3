"""Looks: whether a tracked object still looks as it did when CLIP saw it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.tracking.appearance import CELLS, CHANNELS, Exposure, distances, sign

LOOK = np.dtype([("cells", np.float32, (CELLS, CHANNELS)), ("exposure", np.float32, (CHANNELS,))])
"""A signature, and the `Exposure.total` of its frame."""

# Places among the sorted distances of the cells, and from where on they are a change.
_RANKS = (CELLS // 2, CELLS * 3 // 4)
_JUMP = np.array([0.45, 1.0], np.float32)  # in half of the cells, or much in a quarter: a signal that turns green
_DRIFT_RANK, _DRIFT = CELLS // 4, 0.5  # in three quarters of the cells: nothing is left that looks as before

_USUAL = 2.0  # times what is usual of a track: less is no change
_MEMORY = np.float32(0.9)  # of what is usual, after each frame


class Watch:
    """Tells which tracks look otherwise than CLIP saw them.

    A jump from one frame to the next is told from the small steps by which objects turn, move before their background
    and come behind one another; it counts if the object does not look as CLIP saw it. Slow changes are told by the
    distance from what CLIP saw, which must be larger. Tracks whose look changes all the time, because they flicker or
    their boxes do, must jump further than is usual of them. What exposure does to the whole frame is no change.
    """

    def __init__(self) -> None:
        self._exposure = Exposure()
        self._followed = False

    def begin(self) -> None:
        """Start with a frame."""
        self._followed = False

    def look(self, frame: NDArray[np.uint8], boxes: NDArray[np.float32], records: NDArray[Any]) -> NDArray[Any]:
        """Look at tracks, each at most once a frame.

        Args:
            frame: (H, W, 3) uint8 BGR.
            boxes: (k, 4) float32 xyxy, px: where the tracks are in it.
            records: (k,) copies of their rows of a `TrackTable`.

        Returns:
            The records with `look`, `restless`, `watched` and `changed` written. A change lasts until the track is
            embedded, or looks as before.
        """
        if not self._followed:
            self._exposure.follow(frame)
            self._followed = True
        cells, exposure = sign(frame, boxes), self._exposure.total
        last, shown, usual = records["look"], records["embedded_look"], records["restless"]
        before = np.stack([last["cells"], shown["cells"]])
        grown = exposure - np.stack([last["exposure"], shown["exposure"]])
        apart = np.partition(distances(before, cells, grown), (_DRIFT_RANK, *_RANKS), axis=-1)
        step, since = apart[0][:, _RANKS], apart[1]
        differs = since[:, _RANKS] >= _JUMP
        jumped = ((step >= np.maximum(_JUMP, _USUAL * usual)) & differs).any(axis=1)
        drifted = since[:, _DRIFT_RANK] >= np.maximum(_DRIFT, _USUAL * usual[:, 0])
        records["changed"] = jumped | drifted | (records["changed"] & differs.any(axis=1))
        records["watched"] = True
        records["restless"] += (1 - _MEMORY) * (np.nan_to_num(step) - usual)
        last["cells"], last["exposure"] = cells, exposure
        return records
