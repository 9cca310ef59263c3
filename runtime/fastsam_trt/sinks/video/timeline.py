"""Timeline: when each frame of a recording is shown."""

from __future__ import annotations

from fractions import Fraction

from fastsam_trt.sources.media_clock import MedianInterval


class Timeline:
    """Gives frames their ticks, which grow always.

    A frame that would share a tick with the one before comes a tick late; one that would be later than that is left
    out, so that a recording never falls behind its source.
    """

    def __init__(self, tick_s: Fraction, least_ticks: int, interval_s: float, start_s: float | None = None) -> None:
        """Begin.

        Args:
            tick_s: Unit of time, s.
            least_ticks: The least time between two frames.
            interval_s: The usual time between two frames, as the source tells it.
            start_s: Where the recording begins, which shows the first frame from then on; None: at the first frame.
        """
        self._tick_s = float(tick_s)
        self._least = least_ticks
        self._told_s = interval_s
        self._start_s = start_s
        self._begun = False
        self._time_s = 0.0
        self._tick = 0
        self._usual = MedianInterval()

    @property
    def start_s(self) -> float:
        """The media time of the start."""
        return self._start_s or 0.0

    def last_ticks(self, end_s: float | None) -> int:
        """For how long the last frame is shown.

        Args:
            end_s: The media time of the end; None: the last frame is shown for the usual time between two, as it was
                seen, or as it was told where there is one frame.
        """
        seconds = self._usual.seconds or self._told_s
        if end_s is not None and end_s - self.start_s > self._time_s:
            seconds = end_s - self.start_s - self._tick * self._tick_s
        return max(round(seconds / self._tick_s), self._least)

    def tick_of(self, media_s: float | None) -> int | None:
        """The tick of the next frame, from 0.

        Args:
            media_s: Its place, s; None: it follows the one before at the usual interval.

        Returns:
            None where it is left out.
        """
        if not self._begun:
            self._begun = True
            place_s = media_s or 0.0
            self._start_s = place_s if self._start_s is None else min(self._start_s, place_s)
            self._time_s = place_s - self._start_s
            self._usual.add(self._time_s)
            return 0
        time_s = self._time_s + self._told_s if media_s is None else media_s - self.start_s
        earliest = self._tick + self._least
        tick = max(round(time_s / self._tick_s), earliest)
        if tick - time_s / self._tick_s > 1.0 + 1e-6:
            return None
        self._usual.add(time_s)
        self._time_s, self._tick = time_s, tick
        return tick
