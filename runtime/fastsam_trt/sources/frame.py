"""Frame: a picture, and where and when it was taken."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    r"""A frame and where it comes from.

    Attributes:
        picture: (H, W, 3) uint8 BGR.
        index: Number of the frame in its video or stream, or of the image in the run, from 0. A live source that was
            lost and came back goes on counting.
        source: The file, camera or address, as text that can be printed and encoded: bytes of a name that are no UTF-8
            are written `\xe9`. A page of a file of several is `scan.tif#2`, counted from 1.
        captured_s: When it was read, on the clock of `time.perf_counter`: `time.perf_counter() - captured_s` is the
            frame's age in seconds.
        timestamp_s: Of a video, the frame's place in it in seconds; of a live source, the Unix time at which it was
            read; None for images, and where a video does not tell.
        media_s: Where the frame belongs in a recording of its source, in seconds. It follows the source's own
            timestamps where its container has real ones, else the time of capture, and never goes back. Dropped frames
            and the time for which a live source was away count. None for images.
        pixel_aspect: Width of a pixel of the picture over its height. Results are in stored pixels; where it is not 1,
            whoever shows the picture makes it so much wider.
    """

    picture: NDArray[np.uint8]
    index: int
    source: str
    captured_s: float = field(default_factory=time.perf_counter)
    timestamp_s: float | None = None
    media_s: float | None = None
    pixel_aspect: float = 1.0
