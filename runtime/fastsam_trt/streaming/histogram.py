"""Compute percentiles of any number of times in constant memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

_LEAST_MS = 1e-3
_MOST_MS = 1e8
_RATIO = 1.01
_BINS = math.ceil(math.log(_MOST_MS / _LEAST_MS) / math.log(_RATIO)) + 1  # the first bin is for values below _LEAST_MS


class Histogram:
    """Counts times in bins one percent wide, from a microsecond to a day; 20 kB.

    Attributes:
        count: Number of values.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._lowest, self._highest = math.inf, -math.inf
        self.count = 0

    def add(self, ms: float) -> None:
        """Add a value, ms."""
        index = 0 if ms < _LEAST_MS else 1 + int(math.log(ms / _LEAST_MS) / math.log(_RATIO))
        self._counts[min(index, _BINS - 1)] += 1
        self._lowest, self._highest = min(self._lowest, ms), max(self._highest, ms)
        self.count += 1

    def merge(self, other: Histogram) -> None:
        """Add the values of another histogram."""
        self._counts += other._counts
        self._lowest, self._highest = min(self._lowest, other._lowest), max(self._highest, other._highest)
        self.count += other.count

    def percentiles(self, *percents: float) -> tuple[float, ...]:
        """Percentiles as in `numpy.percentile`, within one percent of the value; NaN without values.

        Args:
            percents: From 0 to 100.

        Returns:
            One value per percentile, ms.
        """
        if not self.count:
            return (math.nan,) * len(percents)
        cumulative = np.cumsum(self._counts)
        values = []
        for percent in percents:
            rank = percent / 100 * (self.count - 1)
            below, above = (self._value(int(np.searchsorted(cumulative, k, side="right"))) for k in _around(rank))
            values.append(below + (above - below) * (rank % 1))
        return tuple(values)

    def _value(self, index: int) -> float:
        middle = 0.0 if index == 0 else _LEAST_MS * _RATIO ** (index - 0.5)
        return min(max(middle, self._lowest), self._highest)


class RollingHistogram:
    """A histogram of the last seconds.

    Attributes:
        seconds: How far back it goes; old values drop out one second at a time.
    """

    def __init__(self, seconds: int = 10) -> None:
        self.seconds = seconds
        self._parts = [Histogram() for _ in range(seconds)]
        self._second_of = [-1] * seconds  # the second that a part holds
        self._first_s: float | None = None

    def add(self, ms: float, now_s: float) -> None:
        """Add a value, ms, at a time, s, on any clock whose times are positive."""
        second = int(now_s)
        index = second % self.seconds
        if self._second_of[index] != second:
            self._second_of[index], self._parts[index] = second, Histogram()
        self._parts[index].add(ms)
        if self._first_s is None:
            self._first_s = now_s

    def recent(self, now_s: float) -> Histogram:
        """Return the values of the last seconds before a time, s."""
        merged = Histogram()
        for part in self._recent(now_s):
            merged.merge(part)
        return merged

    def rate(self, now_s: float) -> float:
        """Values per second over the last seconds, or since the first value if that is more recent."""
        if self._first_s is None:
            return 0.0
        count = sum(part.count for part in self._recent(now_s))
        since_s = int(now_s) - self.seconds + 1
        if self._first_s >= since_s:  # n values have n - 1 intervals
            return (count - 1) / (now_s - self._first_s) if now_s > self._first_s else 0.0
        return count / (now_s - since_s)

    def _recent(self, now_s: float) -> Iterator[Histogram]:
        for second, part in zip(self._second_of, self._parts, strict=True):
            if int(now_s) - self.seconds < second <= int(now_s):
                yield part


def _around(rank: float) -> tuple[int, int]:
    return math.floor(rank), math.ceil(rank)
