"""Timeline: when each frame of a recording is shown."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from statistics import median

_INTERVALS = 31  # enough for a median that one pause does not move


class Timeline:
    """Gives frames their ticks, which grow always.

    A frame that would share a tick with the one before comes a tick late; one that would be later than that is left
    out, so that a recording never falls behind its source.
    """

    def __init__(self, tick_s: Fraction, least_ticks: int, interval_s: float) -> None:
        """Begin.

        Args:
            tick_s: Unit of time, s.
            least_ticks: The least time between two frames.
            interval_s: The usual time between two frames, as the source tells it.
        """
        self._tick_s = float(tick_s)
        self._least = least_ticks
        self._told_s = interval_s
        self._first_s: float | None = None
        self._time_s = 0.0
        self._tick = 0
        self._intervals_s: deque[float] = deque(maxlen=_INTERVALS)

    @property
    def start_s(self) -> float:
        """The media time of the first frame."""
        return self._first_s or 0.0

    @property
    def interval_ticks(self) -> int:
        """The usual time between two frames, as it was seen; as it was told where there is one frame."""
        seconds = median(self._intervals_s) if self._intervals_s else self._told_s
        return max(round(seconds / self._tick_s), self._least)

    def tick_of(self, media_s: float | None) -> int | None:
        """The tick of the next frame, from 0.

        Args:
            media_s: Its place, s; None: it follows the one before at the usual interval.

        Returns:
            None where it is left out.
        """
        if self._first_s is None:
            self._first_s = media_s or 0.0
            return 0
        time_s = self._time_s + self._told_s if media_s is None else media_s - self._first_s
        earliest = self._tick + self._least
        tick = max(round(time_s / self._tick_s), earliest)
        if tick - time_s / self._tick_s > 1.0 + 1e-6:
            return None
        self._intervals_s.append(time_s - self._time_s)
        self._time_s, self._tick = time_s, tick
        return tick
