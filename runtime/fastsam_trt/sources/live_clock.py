"""LiveClock: media times of frames from a live source."""

from __future__ import annotations

from collections import deque
from itertools import takewhile

from fastsam_trt.sources.media_clock import MedianInterval

_LARGEST_JUMP_S = 10.0  # as FFmpeg's -dts_delta_threshold
_RATE_FRAMES = 6  # needed to tell how fast frames arrive
_INTERVAL_FRAMES = 9  # frames that were waited for, needed to tell the interval between frames


class LiveClock:
    """Computes media times, so that a recording lasts as long as the filmed events: from 0, never decreasing.

    The step between frames is that of the stream's timestamps. The step of the capture times is used for frames without
    a timestamp, after a loss, and if timestamps go back (the sender restarted, or its 33-bit counter wrapped) or jump
    ahead by 10 s more than the time that passed.

    Streams without timestamps: frames that arrived while the source and the models were being opened are read in one
    burst. Once the interval between later frames is known, each of them gets that interval; together they get at most
    the time since opening began.

    Streams with timestamps: frames that arrived during a reconnection are read in one burst too. Their timestamps put
    them ahead of real time. Once frames arrive at the rate at which they are filmed, media time waits until real time
    has caught up.
    """

    def __init__(self, began_s: float | None = None) -> None:
        """Start the clock.

        Args:
            began_s: Time at which opening the source began, on the clock of the capture times; None: the first frame.
        """
        self._media_s = 0.0
        self._captured_s: float | None = None
        self._anchor: tuple[float, float, float] | None = None
        self._began_s = began_s
        self._opening: _Opening | None = None
        self._median = MedianInterval()
        self._lost: tuple[float, float] | None = None  # media and capture time of the last frame before a loss
        self._returned: deque[tuple[float, float]] = deque(maxlen=_RATE_FRAMES)  # timestamps and capture times after it

    def advance(self, stream_s: float | None, captured_s: float, *, waited: bool = True) -> float:
        """The media time of the next frame, s.

        Args:
            stream_s: Presentation timestamp of the frame; None if the stream has none.
            captured_s: Time of capture, on a monotonic clock.
            waited: Whether the reader had to wait for the frame, rather than finding it in a buffer.
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
        self._median.add(media_s)
        return media_s

    def end(self, duration_s: float | None) -> float:
        """The media time at which the last frame ends, s.

        Args:
            duration_s: Duration of the frame, used if it is the only one; else it is the median interval.
        """
        seconds = self._median.seconds
        return self._media_s + ((duration_s or 0.0) if seconds is None else seconds)

    def restart(self) -> None:
        """Note that the stream was reopened: its timestamps do not continue the earlier ones."""
        self._anchor = None
        self._opening = None
        if self._captured_s is not None:
            self._lost = self._media_s, self._captured_s
            self._returned.clear()

    def _follow(self, stream_s: float, captured_s: float, media_s: float, *, waited: bool) -> float:
        """The media time by timestamps; by the time of capture (`media_s`) if they can't be right."""
        if self._anchor is not None:
            last_stream_s, last_media_s, last_captured_s = self._anchor
            step_s = stream_s - last_stream_s
            if 0 <= step_s <= captured_s - last_captured_s + _LARGEST_JUMP_S:
                media_s = last_media_s + step_s
        if self._lost is not None:
            self._returned.append((stream_s, captured_s))
            if waited and self._is_real_time():
                lost_media_s, lost_captured_s = self._lost
                behind_s = (
                    stream_s - lost_captured_s + min(came_s - by_stream_s for by_stream_s, came_s in self._returned)
                )
                media_s = min(media_s, lost_media_s + behind_s)  # by the frame with the least delay
                self._lost = None
        self._anchor = stream_s, media_s, captured_s
        return max(media_s, self._media_s)

    def _is_real_time(self) -> bool:
        """Whether the latest frames arrived about as fast as they were filmed, rather than in a burst."""
        (first_stream_s, first_s), (last_stream_s, last_s) = self._returned[0], self._returned[-1]
        filmed_s = last_stream_s - first_stream_s
        return len(self._returned) == _RATE_FRAMES and 0 < filmed_s < 2 * (last_s - first_s)


class _Opening:
    """Time to add for frames without timestamps that arrived before the first one was read."""

    def __init__(self, seconds: float) -> None:
        """Begin with the first frame, `seconds` after opening began."""
        self._seconds = seconds
        self._passed_s: list[float] = []
        self._waited_s: list[float] = []
        self._made_up_s = 0.0

    def make_up(self, passed_s: float, *, waited: bool) -> float:
        """The time to add for the frames so far, beyond what was added before.

        Args:
            passed_s: Time from the capture of the previous frame to that of the next.
            waited: Whether the reader had to wait for the frame.
        """
        if len(self._waited_s) > _INTERVAL_FRAMES:
            return 0.0
        self._passed_s.append(passed_s)
        if waited:
            self._waited_s.append(passed_s)
        between_s = sorted(self._waited_s[1:])  # the first wait covers only part of an interval
        if not between_s:
            return 0.0
        interval_s = between_s[len(between_s) // 2]
        # `waited` is not used here: on a busy processor, reading a buffered frame can look like a wait.
        held = sum(1 for _ in takewhile(lambda gap_s: gap_s < interval_s / 4, self._passed_s))
        more_s = max(min(self._seconds, held * interval_s) - self._made_up_s, 0.0)
        self._made_up_s += more_s
        return more_s
