"""Axes of charts: their range, ticks and scale."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fastsam_bench.report.formatting import significant

_STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis.

    Attributes:
        low, high: Ends of the range.
        ticks: Values and labels of the ticks.
        bend: `linear`, `log`, or `log1`: log(1 + value), which includes 0.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    bend: Literal["linear", "log", "log1"]

    def position(self, value: float) -> float:
        """Position of a value, 0 at the low end and 1 at the high end; values beyond the range are clipped."""
        low, high, at = (_bent(self.bend, each) for each in (self.low, self.high, min(max(value, self.low), self.high)))
        return (at - low) / (high - low)


def linear(values: Iterable[float], ticks: int = 5) -> Scale:
    """An axis from 0 to a round value at or above the largest."""
    most = max((value for value in values if math.isfinite(value)), default=0.0) or 1.0
    rough = most / ticks
    base = 10.0 ** math.floor(math.log10(rough))
    step = next(base * each for each in _STEPS if base * each >= rough * (1 - 1e-9))
    count = math.ceil(most / step * (1 - 1e-9))
    named = tuple((i * step, _name(i * step)) for i in range(count + 1))
    return Scale(0.0, count * step, named, "linear")


def logarithmic(values: Iterable[float]) -> Scale:
    """A logarithmic axis between values of 1, 2 or 5 times a power of ten that enclose all values."""
    positive = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
    low, high = _round(min(positive), down=True), _round(max(positive), down=False)
    if low == high:
        low, high = low / 2, high * 2
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    marks = [step * 10.0**power for power in range(first, last + 1) for step in _STEPS[:3]]
    inside = [mark for mark in marks if low * (1 - 1e-9) <= mark <= high * (1 + 1e-9)]
    if len(inside) > 7:
        inside = [mark for mark in inside if abs(math.log10(mark) - round(math.log10(mark))) < 1e-9]
    return Scale(low, high, tuple((mark, _name(mark)) for mark in inside), "log")


def counts(values: Iterable[float]) -> Scale:
    """A logarithmic axis for counts, which includes 0."""
    most = max(values, default=1) or 1
    marks = [0, *(10**power for power in range(math.ceil(math.log10(most)) + 1))]
    inside = [mark for mark in marks if mark <= most]
    return Scale(0.0, float(most), tuple((float(mark), f"{mark:,}") for mark in inside), "log1")


def _bent(bend: Literal["linear", "log", "log1"], value: float) -> float:
    if bend == "linear":
        return value
    return math.log(value) if bend == "log" else math.log1p(value)


def _round(value: float, *, down: bool) -> float:
    base = 10.0 ** math.floor(math.log10(value))
    steps = [base * each for each in _STEPS]
    if down:
        return max(step for step in steps if step <= value * (1 + 1e-9))
    return min(step for step in steps if step >= value * (1 - 1e-9))


def _name(value: float) -> str:
    whole = round(value)
    return f"{whole:,}" if math.isclose(value, whole, abs_tol=1e-9) else significant(value)
