"""AppearanceChangeDetector: which tracked objects look different since CLIP saw them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.tracking.appearance import CELLS, CHANNELS, describe_boxes, descriptor_distances
from fastsam_trt.tracking.exposure import ExposureEstimator

APPEARANCE = np.dtype([("cells", np.float32, (CELLS, CHANNELS)), ("exposure_log", np.float32, (CHANNELS,))])
"""A descriptor, and `ExposureEstimator.total_log` of its frame."""

# A jump is measured by two ranks of the sorted cell distances: half of the cells change, or a quarter changes much
# (one lamp of a traffic light).
_JUMP_RANKS = (CELLS // 2, CELLS * 3 // 4)
_MIN_JUMP = np.array([0.45, 1.0], np.float32)
_DRIFT_RANK, _MIN_DRIFT = CELLS // 4, 0.5  # a slow change has to reach three quarters of the cells
_USUAL_FACTOR = 2.0  # a track's change must exceed its usual changes by this factor
_USUAL_KEPT_PER_FRAME = np.float32(0.9)  # weight of the past in the average of a track's usual changes


class AppearanceChangeDetector:
    """Detects which tracks look different from what CLIP saw.

    There are two kinds of change. A jump happens from one frame to the next, where turning, moving or being covered
    take small steps; it counts if the object also differs from what CLIP saw. A drift is slow and is measured against
    what CLIP saw alone, with a larger threshold. Tracks that flicker have to change by more than they usually do.
    Exposure that changes the whole frame is no change of an object.
    """

    def __init__(self) -> None:
        self._exposure = ExposureEstimator()
        self._exposure_updated = False

    def begin(self) -> None:
        """Start a frame."""
        self._exposure_updated = False

    def update(self, frame: NDArray[np.uint8], boxes: NDArray[np.float32], records: NDArray[Any]) -> NDArray[Any]:
        """Compare tracks with their past; each at most once per frame.

        Args:
            frame: (H, W, 3) uint8 BGR.
            boxes: (k, 4) float32 xyxy, px of the frame: the tracks' boxes.
            records: (k,) copies of their rows of a `TrackTable`.

        Returns:
            The records with `appearance`, `usual_change`, `compared` and `changed` updated. `changed` stays set until
            the track is embedded or looks as before.
        """
        if not self._exposure_updated:
            self._exposure.update(frame)
            self._exposure_updated = True
        cells, exposure_log = describe_boxes(frame, boxes), self._exposure.total_log
        last, embedded, usual = records["appearance"], records["embedded_appearance"], records["usual_change"]
        before = np.stack([last["cells"], embedded["cells"]])
        exposure_change = exposure_log - np.stack([last["exposure_log"], embedded["exposure_log"]])
        distances = descriptor_distances(before, cells, exposure_change)
        since_last, since_embedded = np.partition(distances, (_DRIFT_RANK, *_JUMP_RANKS), axis=-1)
        step = since_last[:, _JUMP_RANKS]
        differs = since_embedded[:, _JUMP_RANKS] >= _MIN_JUMP
        jumped = ((step >= np.maximum(_MIN_JUMP, _USUAL_FACTOR * usual)) & differs).any(axis=1)
        drifted = since_embedded[:, _DRIFT_RANK] >= np.maximum(_MIN_DRIFT, _USUAL_FACTOR * usual[:, 0])
        records["changed"] = jumped | drifted | (records["changed"] & differs.any(axis=1))
        records["compared"] = True
        records["usual_change"] += (1 - _USUAL_KEPT_PER_FRAME) * (np.nan_to_num(step) - usual)
        last["cells"], last["exposure_log"] = cells, exposure_log
        return records
