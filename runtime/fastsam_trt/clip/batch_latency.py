"""BatchLatency: how long CLIP takes for a batch of crops, measured as it runs."""

from __future__ import annotations

from fastsam_trt.masks.batch_ladder import LADDER

_FIRST_CROP_MS = 10.0  # for one crop, before any measurement
_DEVIATIONS = 2.0  # mean deviations above the mean that `expected_ms` allows for
_RISE_WEIGHT, _FALL_WEIGHT = 0.2, 0.5  # weight of a new time: rise slowly after a hiccup, forget a slow first run soon
_MAX_MEANS = 2.0  # a time counts as at most so many means


class BatchLatency:
    """Exponentially weighted mean and mean deviation of the time of each batch size."""

    def __init__(self) -> None:
        self._mean_ms: dict[int, float] = {}
        self._deviation_ms: dict[int, float] = {}

    def record(self, size: int, ms: float) -> None:
        """Add the measured time of a batch; `size` is one of `LADDER`."""
        mean = self._mean_ms.get(size)
        if mean is None:
            self._mean_ms[size], self._deviation_ms[size] = ms, 0.0
            return
        counted = min(ms, _MAX_MEANS * mean)
        weight = _RISE_WEIGHT if counted > mean else _FALL_WEIGHT
        self._mean_ms[size] = mean + weight * (counted - mean)
        self._deviation_ms[size] += _RISE_WEIGHT * (abs(counted - mean) - self._deviation_ms[size])

    def expected_ms(self, size: int) -> float:
        """Return a time that a batch seldom exceeds; `size` is one of `LADDER`.

        It is at most twice that of half the size, so that one slow batch does not rule out its size for good. For a
        size that was never run it is exactly that.
        """
        halves = 2 * self.expected_ms(size // 2) if size > 1 else _FIRST_CROP_MS
        mean = self._mean_ms.get(size)
        if mean is None:
            return halves
        measured = mean + _DEVIATIONS * self._deviation_ms[size]
        return min(measured, halves) if size > 1 else measured

    def largest_batch(self, count: int, available_ms: float) -> int:
        """Return the largest batch of at most `count` crops that is expected to finish in time; 0 if none is."""
        return next((size for size in LADDER if size <= count and self.expected_ms(size) <= available_ms), 0)
