"""Time several ways to do the same thing in turn, and compare their times pair by pair.

Each turn of a side is one call that is not timed, followed by a timed one: the thread pools of the previous side spin
for some milliseconds and its data fills the caches, which would slow the next side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fastsam_trt.errors import OptionError

Times = Mapping[str, Sequence[float]]  # name of a side to its times, ms, one per round


@dataclass(frozen=True, slots=True)
class Side:
    """One of the compared sides: its name, and a function that does the work and returns its time, ms."""

    name: str
    time_ms: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, smallest value, largest value and inter-quartile range."""

    median: float
    low: float
    high: float
    iqr: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        low, first, median, third, high = np.percentile(values, [0, 25, 50, 75, 100]).tolist()
        return cls(median, low, high, third - first)


def wall_clock(call: Callable[[], object]) -> Callable[[], float]:
    """Wrap a function to return its time, ms."""

    def timed() -> float:
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) * 1e3

    return timed


def measure(sides: Sequence[Side], rounds: int, warmup: int, *, lead_in: bool = True) -> Times:
    """Run sides in turn, A B A B. Times of one round belong together, and can be compared pair by pair.

    Args:
        sides: The sides.
        rounds: Number of timed turns of each side.
        warmup: Number of turns before them, which are not recorded.
        lead_in: Whether each turn begins with a call that is not timed. A call in a fresh process needs none.

    Raises:
        OptionError: There is no round.
    """
    if rounds < 1:
        raise OptionError("rounds", "1 or more", rounds)
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    for turn in range(-warmup, rounds):
        for side in sides:
            if lead_in:
                side.time_ms()
            spent_ms = side.time_ms()
            if turn >= 0:
                times[side.name].append(spent_ms)
    return times


def ratio(times: Times, side: str, reference: str) -> Spread:
    """Time of a side divided by the time of the reference, round by round."""
    return Spread.of([a / b for a, b in zip(times[side], times[reference], strict=True)])
