"""MediaClock: a stream's own times to places in its recording, which never go back."""

from __future__ import annotations

from collections import deque
from statistics import median

_USUAL_FPS = 30.0
_BACK_S = 0.25  # frames that a damaged stream gives in the wrong order
_JUMP_S = 10.0  # FFmpeg's own limit: a longer jump is a clock that was set anew
_INTERVALS = 31  # enough for a median that one pause does not move


class MediaClock:
    """Places frames in time, in seconds from the start of what they belong to.

    Frames without a time follow the one before at the stream's rate. Where a stream's clock was set anew (streams that
    were strung together, senders that began again) the next frame follows likewise, and the new clock counts from
    there. A single time that is wrong changes nothing for those behind it.
    """

    def __init__(self, start_s: float | None, fps: float | None, *, longest_jump_s: float = _JUMP_S) -> None:
        """Begin.

        Args:
            start_s: The time that is 0; None: that of the first frame.
            fps: The rate, for frames without a time; None: 30.
            longest_jump_s: Frames further apart than this are taken for a clock that was set anew.
        """
        self._origin_s = start_s
        self._other_origin_s: float | None = None
        self._step_s = 1 / (fps or _USUAL_FPS)
        self._jump_s = longest_jump_s
        self._last_s: float | None = None

    def place(self, time_s: float | None, frames: int = 1) -> float:
        """Place the next frame.

        Args:
            time_s: Its time by the stream's clock; None: it has none.
            frames: How many frames it is behind the one before.
        """
        place_s = self._reckon(time_s, frames)
        self._last_s = place_s
        return place_s

    def end(self, duration_s: float | None) -> float:
        """Where the frame that was placed last ends.

        Args:
            duration_s: For how long it is shown; None: as long as frames are at the stream's rate.
        """
        duration_s = self._step_s if duration_s is None or duration_s > self._jump_s else duration_s
        return (self._last_s or 0.0) + duration_s

    def _reckon(self, time_s: float | None, frames: int) -> float:
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
    """The median of the last intervals."""

    def __init__(self) -> None:
        """Begin."""
        self._intervals_s: deque[float] = deque(maxlen=_INTERVALS)
        self._last_s: float | None = None

    def add(self, place_s: float) -> None:
        """Take note of a frame's place in its video, in seconds."""
        if self._last_s is not None:
            self._intervals_s.append(place_s - self._last_s)
        self._last_s = place_s

    @property
    def seconds(self) -> float | None:
        """The usual interval; None before the second frame."""
        return median(self._intervals_s) if self._intervals_s else None
