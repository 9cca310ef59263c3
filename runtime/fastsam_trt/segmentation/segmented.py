"""Segmented: a frame between the two halves of a pipeline, segmented and not yet selected from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.segmentation.segments import Segments


@dataclass(frozen=True, slots=True, eq=False)
class Segmented:
    """A frame and everything that was found in it.

    Attributes:
        picture: (H, W, 3) uint8 BGR.
        segments: Its segments.
        speed: ms of `preprocess` and `segment`.
        captured_s: When the frame was captured, on `time.perf_counter`'s clock; None where that is no matter.
        media_s: Its place in its source's time, in seconds; None where that is not known.
    """

    picture: NDArray[np.uint8]
    segments: Segments
    speed: dict[str, float]
    captured_s: float | None = None
    media_s: float | None = None
