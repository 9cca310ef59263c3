"""Timeline: timestamps for the frames of a recording."""

from __future__ import annotations

from fractions import Fraction

from fastsam_trt.sources.media_clock import MedianInterval


class Timeline:
    """Strictly increasing timestamps, in ticks.

    A frame with the same tick as the previous one is moved by a tick. A frame that would have to move further is
    dropped, so that a recording never falls behind its source.
    """

    def __init__(self, tick_s: Fraction, least_ticks: int, interval_s: float, start_s: float | None = None) -> None:
        """Begin a recording.

        Args:
            tick_s: Duration of a tick, s.
            least_ticks: Shortest time between two frames.
            interval_s: Time between two frames according to the source, s.
            start_s: Media time at which the recording begins, with the first frame; None: the time of that frame.
        """
        self._tick_s = float(tick_s)
        self._least = least_ticks
        self._interval_s = interval_s
        self._start_s = start_s
        self._begun = False
        self._time_s = 0.0
        self._tick = 0
        self._median = MedianInterval()

    @property
    def start_s(self) -> float:
        """The media time at which the recording begins."""
        return self._start_s or 0.0

    def last_ticks(self, end_s: float | None) -> int:
        """The duration of the last frame.

        Args:
            end_s: Media time of the end; None: the last frame is shown for the median interval, or for `interval_s` if
                there is only one frame.
        """
        seconds = self._median.seconds or self._interval_s
        if end_s is not None and end_s - self.start_s > self._time_s:
            seconds = end_s - self.start_s - self._tick * self._tick_s
        return max(round(seconds / self._tick_s), self._least)

    def tick_of(self, media_s: float | None) -> int | None:
        """The tick of the next frame, from 0.

        Args:
            media_s: Media time of the frame, s; None: `interval_s` after the previous one.

        Returns:
            The tick; None if the frame is dropped.
        """
        if not self._begun:
            self._begun = True
            first_s = media_s or 0.0
            self._start_s = first_s if self._start_s is None else min(self._start_s, first_s)
            self._time_s = first_s - self._start_s
            self._median.add(self._time_s)
            return 0
        time_s = self._time_s + self._interval_s if media_s is None else media_s - self.start_s
        earliest = self._tick + self._least
        tick = max(round(time_s / self._tick_s), earliest)
        if tick - time_s / self._tick_s > 1.0 + 1e-6:
            return None
        self._median.add(time_s)
        self._time_s, self._tick = time_s, tick
        return tick
