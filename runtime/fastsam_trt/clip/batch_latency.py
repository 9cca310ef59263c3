"""BatchLatency: how long CLIP takes for a batch of crops, learned as it runs."""

from __future__ import annotations

from fastsam_trt.masks.batch_ladder import LADDER

_FIRST_GUESS_MS = 10.0  # of one crop, where nothing was measured
_SPREADS = 2.0  # mean deviations that an expected time lies above the mean
_RISE, _FALL = 0.2, 0.5  # how fast the mean follows: a hiccup should not count, and a first run is no rule
_OUTLIER = 2.0  # one time counts as at most so many means


class BatchLatency:
    """Mean and spread of the time of each batch size, by exponentially weighted averages."""

    def __init__(self) -> None:
        self._mean_ms: dict[int, float] = {}
        self._spread_ms: dict[int, float] = {}

    def learn(self, size: int, ms: float) -> None:
        """Take in the time of a batch of a size of the ladder."""
        mean = self._mean_ms.get(size)
        if mean is None:
            self._mean_ms[size], self._spread_ms[size] = ms, 0.0
            return
        counted = min(ms, _OUTLIER * mean)
        gain = _RISE if counted > mean else _FALL
        self._mean_ms[size] = mean + gain * (counted - mean)
        self._spread_ms[size] += _RISE * (abs(counted - mean) - self._spread_ms[size])

    def expected_ms(self, size: int) -> float:
        """A time that a batch of a size of the ladder seldom exceeds.

        At most that of two of half its size, so that one bad time of a large batch does not rule it out for ever; a
        size that was never run is expected to take just that.
        """
        halves = 2 * self.expected_ms(size // 2) if size > 1 else _FIRST_GUESS_MS
        mean = self._mean_ms.get(size)
        if mean is None:
            return halves
        own = mean + _SPREADS * self._spread_ms[size]
        return min(own, halves) if size > 1 else own

    def largest(self, count: int, left_ms: float) -> int:
        """The largest batch of at most `count` crops that should be done in the time left; 0 where none is."""
        return next((size for size in LADDER if size <= count and self.expected_ms(size) <= left_ms), 0)
