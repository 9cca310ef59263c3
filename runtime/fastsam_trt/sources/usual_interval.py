"""UsualInterval: how far apart the frames of a video usually are."""

from __future__ import annotations

from collections import deque
from statistics import median

_INTERVALS = 31  # enough for a median that one pause does not move


class UsualInterval:
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
