"""Events of an open camera or stream: `Opened` or `Refused`, then `CapturedFrame`s, and `Ended`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.sources.health import SourceHealth


@dataclass(frozen=True, slots=True)
class Opened:
    """An open camera or stream.

    Attributes:
        fps: Frame rate; None if unknown, as for a stream whose container has no timestamps.
        has_end: Whether it is a recording of known size, such as a file at an HTTP address.
        is_image: Whether it is a still image rather than a video.
        began_s: Time at which opening began, on the clock of `time.perf_counter`; None if not needed.
    """

    fps: float | None = None
    has_end: bool = False
    is_image: bool = False
    began_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A camera or stream that can't be opened.

    Attributes:
        why: The reason that its library gives.
        is_there: Whether it answers, but with something other than a video.
    """

    why: str
    is_there: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CapturedFrame:
    """A frame from a camera or stream.

    Attributes:
        image: (H, W, 3) uint8 BGR; None if no image was requested.
        captured_s: Time of the read, on the clock of `time.perf_counter`.
        timestamp_s: The same as Unix time.
        stream_s: Presentation timestamp by the stream's clock, s; None if the stream has none.
        pixel_aspect: As `Frame.pixel_aspect`.
        damage: Damage since the stream was opened.
        waited: Whether the reader had to wait for the frame, rather than finding it in a buffer.
        duration_s: Duration according to the container, s; None if unknown.
    """

    image: NDArray[np.uint8] | None
    captured_s: float
    timestamp_s: float
    stream_s: float | None = None
    pixel_aspect: float = 1.0
    damage: SourceHealth = field(default_factory=SourceHealth)
    waited: bool = True
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The regular end of a recording; a stream that breaks off ends without it."""
