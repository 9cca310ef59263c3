"""The overlay of a frame, drawn once for all sinks that show it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing.overlay import draw
from fastsam_trt.results.result import Result


class Overlay:
    """Draws a result the first time that it is asked for it, and keeps the picture until the next result."""

    def __init__(self) -> None:
        self._result: Result | None = None
        self._picture: NDArray[np.uint8] | None = None

    def of(self, result: Result) -> NDArray[np.uint8]:
        """The overlay of a result, (H, W, 3) uint8 BGR, which its users do not write into."""
        if self._picture is None or result is not self._result:
            self._result, self._picture = result, draw(result)
        return self._picture
