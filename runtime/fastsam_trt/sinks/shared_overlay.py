"""Overlay: the overlay of the latest result, drawn once for all sinks that show it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing.placement import Spot
from fastsam_trt.drawing.style import DrawStyle
from fastsam_trt.results.plot import plot_next
from fastsam_trt.results.result import Result


class Overlay:
    """The overlay of the latest result. Labels of tracked objects stay where they were, relative to their objects."""

    def __init__(self, style: DrawStyle | None = None, longest_px: int | None = None) -> None:
        """Begin without a result.

        Args:
            style: What to draw, and how; None: the default.
            longest_px: Most px of the longer side: larger frames are drawn at that size; None: the frame's own.
        """
        self._style = style or DrawStyle()
        self._longest_px = longest_px
        self._result: Result | None = None
        self._image: NDArray[np.uint8] | None = None
        self._spots: dict[int, Spot] = {}

    def of(self, result: Result) -> NDArray[np.uint8]:
        """The overlay of a result, (H, W, 3) uint8 BGR; shared, so do not write to it."""
        if self._image is None or result is not self._result:
            self._image, self._spots = plot_next(result, self._style, self._size(result), self._spots)
            self._result = result
        return self._image

    def forget(self) -> None:
        """Let the result and its overlay go; labels stay where they were."""
        self._result = self._image = None

    def _size(self, result: Result) -> tuple[int, int] | None:
        height, width = result.frame.shape[:2]
        scale = 1 if self._longest_px is None else self._longest_px / max(height, width)
        return None if scale >= 1 else (max(round(height * scale), 1), max(round(width * scale), 1))
