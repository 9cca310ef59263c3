"""ExposureEstimator: how a camera's exposure and white balance have changed since a stream's first frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.tracking.appearance import CHANNELS

_GRID_COLUMNS, _GRID_ROWS = 32, 18  # cells in which the exposure is compared
_DARKEST_LEVEL, _BRIGHTEST_LEVEL = 8, 247  # cells outside these grey levels are clipped and can't be compared
_MIN_USABLE_SHARE = 0.3  # with fewer usable cells the frame as a whole is unknown
_SAME_CHANGE_LOG = 0.15  # two cells whose logarithms changed by amounts this close changed alike
_MIN_SAME_CHANGE_SHARE = 0.7  # if this share of the cells changed alike, the exposure changed and not the scene
_MAX_TINT_LOG = 0.25  # a channel that changed more than this against the others is a new colour, not white balance

_LOG_LEVELS = np.log(np.maximum(np.arange(256), 1)).astype(np.float32)


class ExposureEstimator:
    """Estimates, frame by frame, how much light exposure and white balance add.

    A camera that adjusts itself changes the whole frame alike. A light that is switched off or an object that moves
    changes only a part of it.

    Attributes:
        total_log: (3,) float32 BGR: the change since the first frame, as natural logarithms.
    """

    def __init__(self) -> None:
        self.total_log = np.zeros(CHANNELS, np.float32)
        # Logarithms of the last frame's cells, (3, cells), and which cells are usable, (cells,).
        self._last: tuple[NDArray[np.float32], NDArray[np.bool_]] | None = None

    def update(self, frame: NDArray[np.uint8]) -> None:
        """Add the next frame: (H, W, 3) uint8 BGR."""
        sampled = cv2.resize(frame, (2 * _GRID_COLUMNS, 2 * _GRID_ROWS), interpolation=cv2.INTER_LINEAR)
        grid = cv2.resize(sampled, (_GRID_COLUMNS, _GRID_ROWS), interpolation=cv2.INTER_AREA)
        cells = np.stack(cv2.split(grid)).reshape(CHANNELS, -1)
        usable = (cells.min(axis=0) >= _DARKEST_LEVEL) & (cells.max(axis=0) <= _BRIGHTEST_LEVEL)
        logs = _LOG_LEVELS[cells]
        last, self._last = self._last, (logs, usable)
        if last is None:
            return
        both = np.flatnonzero(usable & last[1])
        if len(both) < _MIN_USABLE_SHARE * len(usable):
            return
        change = logs[:, both] - last[0][:, both]  # (3, k)
        median = np.partition(change, len(both) // 2, axis=1)[:, len(both) // 2]
        same_share = float((np.abs(change - median[:, None]).max(axis=0) < _SAME_CHANGE_LOG).mean())
        tint = float(np.abs(median - median.mean()).max())
        if same_share >= _MIN_SAME_CHANGE_SHARE and tint <= _MAX_TINT_LOG:
            self.total_log += median
