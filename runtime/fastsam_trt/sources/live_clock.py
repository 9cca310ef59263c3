"""LiveClock: where the frames of a live source belong in a recording of it."""

from __future__ import annotations

from collections import deque
from itertools import takewhile

from fastsam_trt.sources.media_clock import MedianInterval

_LARGEST_JUMP_S = 10.0  # as FFmpeg's -dts_delta_threshold
_SHOW_SPEED = 6  # frames that show how fast frames come
_SHOW_INTERVAL = 9  # frames that were waited for, which show how far apart frames are


class LiveClock:
    """Times for a recording that lasts as long as what was filmed: from 0, never going back.

    A frame follows the one before by what the stream's timestamps say. The time of capture counts instead where a
    frame has no timestamp, after a loss, and where timestamps go back (the sender began again, or a counter of 33 bits
    did) or jump ahead by 10 s more than passed.

    Without timestamps, frames that came in before the first was read, while the source and models were opened, are
    read at once afterwards. They are given the time between later frames each, together at most the time since the
    opening began, as soon as that is known.

    Frames with timestamps that came in while a lost stream was opened again are read at once as well. They are placed
    by their timestamps, and so ahead of what is filmed; once frames come as fast as they are filmed, their places wait
    until it has caught up.
    """

    def __init__(self, began_s: float | None = None) -> None:
        """Begin.

        Args:
            began_s: When the source began to be opened, on the clock of the captures; None: with the first frame.
        """
        self._media_s = 0.0
        self._captured_s: float | None = None
        self._anchor: tuple[float, float, float] | None = None
        self._began_s = began_s
        self._opening: _Opening | None = None
        self._usual = MedianInterval()
        self._lost: tuple[float, float] | None = None  # place and time of the last frame before a loss
        self._returned: deque[tuple[float, float]] = deque(maxlen=_SHOW_SPEED)  # timestamps and times after it

    def place(self, stream_s: float | None, captured_s: float, *, waited: bool = True) -> float:
        """Where a frame belongs, in seconds.

        Args:
            stream_s: Its presentation time by the stream's own timestamps; None where there are none.
            captured_s: When it was captured, on a clock that never goes back.
            waited: Whether it was waited for, rather than there already.
        """
        passed_s = 0.0 if self._captured_s is None else captured_s - self._captured_s
        media_s = self._media_s + passed_s
        if stream_s is not None:
            media_s = self._follow(stream_s, captured_s, media_s, waited=waited)
        elif self._opening is not None:
            media_s += self._opening.make_up(passed_s, waited=waited)
        elif self._captured_s is None and self._began_s is not None:
            self._opening = _Opening(captured_s - self._began_s)
        self._media_s, self._captured_s = media_s, captured_s
        self._usual.add(media_s)
        return media_s

    def end(self, duration_s: float | None) -> float:
        """Where the last frame ends.

        Args:
            duration_s: For how long it is shown, where one frame does not show how far apart they are.
        """
        seconds = self._usual.seconds
        return self._media_s + ((duration_s or 0.0) if seconds is None else seconds)

    def restart(self) -> None:
        """The stream was opened again: its timestamps no longer follow those before."""
        self._anchor = None
        self._opening = None
        if self._captured_s is not None:
            self._lost = self._media_s, self._captured_s
            self._returned.clear()

    def _follow(self, stream_s: float, captured_s: float, media_s: float, *, waited: bool) -> float:
        """The place by the timestamps; the one by the time of capture where they can't be right."""
        if self._anchor is not None:
            last_stream_s, last_media_s, last_captured_s = self._anchor
            step_s = stream_s - last_stream_s
            if 0 <= step_s <= captured_s - last_captured_s + _LARGEST_JUMP_S:
                media_s = last_media_s + step_s
        if self._lost is not None:
            self._returned.append((stream_s, captured_s))
            if waited and self._is_as_filmed():
                lost_media_s, lost_captured_s = self._lost
                behind_s = (
                    stream_s - lost_captured_s + min(came_s - by_stream_s for by_stream_s, came_s in self._returned)
                )
                media_s = min(media_s, lost_media_s + behind_s)  # by the frame that came with the least delay
                self._lost = None
        self._anchor = stream_s, media_s, captured_s
        return max(media_s, self._media_s)

    def _is_as_filmed(self) -> bool:
        """Whether the last frames came about as fast as they were filmed, not as fast as they can be sent."""
        (first_stream_s, first_s), (last_stream_s, last_s) = self._returned[0], self._returned[-1]
        filmed_s = last_stream_s - first_stream_s
        return len(self._returned) == _SHOW_SPEED and 0 < filmed_s < 2 * (last_s - first_s)


class _Opening:
    """Time that frames without timestamps lack, since they came in before the first one was read."""

    def __init__(self, seconds: float) -> None:
        """Begin with the first frame, so many seconds after the opening began."""
        self._seconds = seconds
        self._passed_s: list[float] = []
        self._waited_s: list[float] = []
        self._made_up_s = 0.0

    def make_up(self, passed_s: float, *, waited: bool) -> float:
        """The time that the frames so far lack beyond what was made up before.

        Args:
            passed_s: Between the capture of the next frame and that of the one before.
            waited: Whether it was waited for.
        """
        if len(self._waited_s) > _SHOW_INTERVAL:
            return 0.0
        self._passed_s.append(passed_s)
        if waited:
            self._waited_s.append(passed_s)
        between_s = sorted(self._waited_s[1:])  # before the first there passed no more than a part of their distance
        if not between_s:
            return 0.0
        interval_s = between_s[len(between_s) // 2]
        # A busy processor makes it look as if one of them had been waited for.
        held = sum(1 for _ in takewhile(lambda each_s: each_s < interval_s / 4, self._passed_s))
        more_s = max(min(self._seconds, held * interval_s) - self._made_up_s, 0.0)
        self._made_up_s += more_s
        return more_s
