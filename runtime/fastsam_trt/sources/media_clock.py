"""MediaClock: media times of frames from the timestamps of their stream."""

from __future__ import annotations

from collections import deque
from statistics import median

_USUAL_FPS = 30.0
_BACK_S = 0.25  # damaged streams give frames in the wrong order within this time
_JUMP_S = 10.0  # a longer jump means that the clock was reset; FFmpeg's own limit
_INTERVALS = 31  # of which the median is taken: one pause must not change it


class MediaClock:
    """Converts timestamps to media times: seconds from the start of a recording, which never decrease.

    A frame without a timestamp follows the previous one at the stream's rate. So does the first frame after a reset of
    the stream's clock (concatenated streams, a sender that restarted); later frames follow the new clock. A single
    wrong timestamp does not affect later frames.
    """

    def __init__(self, start_s: float | None, fps: float | None, *, longest_jump_s: float = _JUMP_S) -> None:
        """Start the clock.

        Args:
            start_s: The timestamp at which media time is 0; None: the timestamp of the first frame.
            fps: Frame rate, for frames without a timestamp; None: 30.
            longest_jump_s: A longer step between frames means that the stream's clock was reset.
        """
        self._origin_s = start_s
        self._other_origin_s: float | None = None
        self._step_s = 1 / (fps or _USUAL_FPS)
        self._jump_s = longest_jump_s
        self._last_s: float | None = None

    def advance(self, time_s: float | None, frames: int = 1) -> float:
        """The media time of the next frame, s.

        Args:
            time_s: Timestamp of the frame; None if it has none.
            frames: Distance to the previous frame, in frames: more than 1 after lost frames.
        """
        self._last_s = self._media_time(time_s, frames)
        return self._last_s

    def end(self, duration_s: float | None) -> float:
        """The media time at which the last frame ends, s.

        Args:
            duration_s: Duration of the frame; None: one frame interval at the stream's rate.
        """
        duration_s = self._step_s if duration_s is None or duration_s > self._jump_s else duration_s
        return (self._last_s or 0.0) + duration_s

    def _media_time(self, time_s: float | None, frames: int) -> float:
        if time_s is not None and self._origin_s is None:
            self._origin_s = time_s - (0.0 if self._last_s is None else self._last_s + frames * self._step_s)
        if self._last_s is None:
            return 0.0 if time_s is None or self._origin_s is None else max(time_s - self._origin_s, 0.0)
        next_s = self._last_s + frames * self._step_s
        if time_s is None:
            return next_s
        for origin_s in (self._origin_s, self._other_origin_s):
            if origin_s is not None and -_BACK_S <= time_s - origin_s - self._last_s <= self._jump_s:
                self._origin_s, self._other_origin_s = origin_s, None
                return max(time_s - origin_s, self._last_s)
        self._other_origin_s = time_s - next_s
        return next_s


class MedianInterval:
    """The median interval between the latest frames of a video."""

    def __init__(self) -> None:
        """Begin without frames."""
        self._intervals_s: deque[float] = deque(maxlen=_INTERVALS)
        self._last_s: float | None = None

    def add(self, media_s: float) -> None:
        """Add the media time of the next frame, s."""
        if self._last_s is not None:
            self._intervals_s.append(media_s - self._last_s)
        self._last_s = media_s

    @property
    def seconds(self) -> float | None:
        """The median interval, s; None before the second frame."""
        return median(self._intervals_s) if self._intervals_s else None
