"""Events of an open camera or stream: `Opened` or `Refused`, then `CapturedFrame`s, and `Ended`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.sources.health import SourceHealth


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of a camera or stream once it is open.

    Attributes:
        fps: Frame rate; None where it is not known, as for a stream whose container has no timestamps.
        has_end: Whether it is a recording of known size, such as a file at an HTTP address.
        is_image: Whether it is one still image rather than a video.
        began_s: When it began to be opened, on the clock of `time.perf_counter`; None where it does not matter.
    """

    fps: float | None = None
    has_end: bool = False
    is_image: bool = False
    began_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A camera or stream that can't be opened.

    Attributes:
        why: What its library says of that.
        is_there: Whether it answers, with something that is no video.
    """

    why: str
    is_there: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CapturedFrame:
    """A frame that was read.

    Attributes:
        image: (H, W, 3) uint8 BGR; None where it was not to be converted.
        captured_s: When it was read, on the clock of `time.perf_counter`.
        timestamp_s: The same as Unix time.
        stream_s: Its presentation time by the stream's own timestamps, seconds; None where there are none.
        pixel_aspect: As `Frame.pixel_aspect`.
        damage: What was damaged since it was opened.
        waited: Whether it was waited for, rather than there already.
        duration_s: For how long it is shown, as the container tells it, seconds; None where it does not.
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
    """The end of a recording, as its demuxer tells it; a stream that breaks off has none."""
