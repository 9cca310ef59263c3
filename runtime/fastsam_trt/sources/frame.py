"""Frame: an image, with where and when it was taken."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.import_names import warn_renamed


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    r"""A frame of a source.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        index: Number of the frame in its video or stream, or of the image in the run, from 0. The count continues when
            a live source reconnects.
        source: File, camera or address, as printable text: bytes that are not UTF-8 are written `\xe9`. Pages of a
            multi-page file are `scan.tif#1`, `scan.tif#2` and so on.
        captured_s: Time of the read, on the clock of `time.perf_counter`: `time.perf_counter() - captured_s` is the age
            of the frame in seconds.
        timestamp_s: For a video, the position of the frame in seconds; for a live source, the Unix time of the read;
            None for images, and for videos without timestamps.
        media_s: Position of the frame in a recording of its source, in seconds. It follows the timestamps of the source
            if its container has real ones, else the time of capture, and never decreases. Dropped frames and the time
            during which a live source was disconnected count. None for images.
        pixel_aspect: Pixel aspect ratio, width over height. Results are in stored pixels; a viewer stretches the image
            to this many times its width.
    """

    image: NDArray[np.uint8]
    index: int
    source: str
    captured_s: float = field(default_factory=time.perf_counter)
    timestamp_s: float | None = None
    media_s: float | None = None
    pixel_aspect: float = 1.0

    @property
    def picture(self) -> NDArray[np.uint8]:
        """Deprecated: the old name of `image`."""
        warn_renamed("Frame.picture", "Frame.image")
        return self.image
