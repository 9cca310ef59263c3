"""Histograms of times: percentiles of however many values, in memory that does not grow."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

_LEAST_MS = 1e-3
_MOST_MS = 1e8
_RATIO = 1.01
_BINS = math.ceil(math.log(_MOST_MS / _LEAST_MS) / math.log(_RATIO)) + 1  # the first is for less than the least


class Histogram:
    """Counts of times in bins that are one percent wide each, from a microsecond to a day; 20 kB.

    Attributes:
        count: How many values there are.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._lowest, self._highest = math.inf, -math.inf
        self.count = 0

    def add(self, ms: float) -> None:
        """Take a value, ms."""
        place = 0 if ms < _LEAST_MS else 1 + int(math.log(ms / _LEAST_MS) / math.log(_RATIO))
        self._counts[min(place, _BINS - 1)] += 1
        self._lowest, self._highest = min(self._lowest, ms), max(self._highest, ms)
        self.count += 1

    def merge(self, other: Histogram) -> None:
        """Take another's values too."""
        self._counts += other._counts
        self._lowest, self._highest = min(self._lowest, other._lowest), max(self._highest, other._highest)
        self.count += other.count

    def percentiles(self, *percents: float) -> tuple[float, ...]:
        """Percentiles as `numpy.percentile` has them, each within one percent of its value; NaN of no values.

        Args:
            percents: From 0 to 100.

        Returns:
            A value for each, ms.
        """
        if not self.count:
            return (math.nan,) * len(percents)
        reached = np.cumsum(self._counts)
        found = []
        for percent in percents:
            rank = percent / 100 * (self.count - 1)
            below, above = (self._value(int(np.searchsorted(reached, k, side="right"))) for k in _around(rank))
            found.append(below + (above - below) * (rank % 1))
        return tuple(found)

    def _value(self, place: int) -> float:
        middle = 0.0 if place == 0 else _LEAST_MS * _RATIO ** (place - 0.5)
        return min(max(middle, self._lowest), self._highest)


class RollingHistogram:
    """The values of the last seconds.

    Attributes:
        seconds: How far back it goes; what it forgets, it forgets a second at a time.
    """

    def __init__(self, seconds: int = 10) -> None:
        self.seconds = seconds
        self._parts = [Histogram() for _ in range(seconds)]
        self._owners = [-1] * seconds  # which second each part is of
        self._first_s: float | None = None

    def add(self, ms: float, now_s: float) -> None:
        """Take a value, ms, at a time on any clock that begins above 0, s."""
        second = int(now_s)
        place = second % self.seconds
        if self._owners[place] != second:
            self._owners[place], self._parts[place] = second, Histogram()
        self._parts[place].add(ms)
        if self._first_s is None:
            self._first_s = now_s

    def recent(self, now_s: float) -> Histogram:
        """The values of the last seconds before a time, s."""
        merged = Histogram()
        for part in self._recent(now_s):
            merged.merge(part)
        return merged

    def rate(self, now_s: float) -> float:
        """How many values a second there were of late; at first, since the first value."""
        if self._first_s is None:
            return 0.0
        count = sum(part.count for part in self._recent(now_s))
        since_s = int(now_s) - self.seconds + 1
        if self._first_s >= since_s:  # of n values, n - 1 intervals are known
            return (count - 1) / (now_s - self._first_s) if now_s > self._first_s else 0.0
        return count / (now_s - since_s)

    def _recent(self, now_s: float) -> Iterator[Histogram]:
        for owner, part in zip(self._owners, self._parts, strict=True):
            if int(now_s) - self.seconds < owner <= int(now_s):
                yield part


def _around(rank: float) -> tuple[int, int]:
    return math.floor(rank), math.ceil(rank)
