"""Sides: ways of doing one thing, timed in turn so that they compare pair by pair.

Each turn of a side is one call that is not timed and then one that is: the thread pools of the side before spin on for
some milliseconds and its data fills the caches, which would be charged to whoever comes next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fastsam_trt.errors import OptionError

Times = Mapping[str, Sequence[float]]  # name of a side to its times, ms, one a round


@dataclass(frozen=True, slots=True)
class Side:
    """One of the things compared: its name, and a call that does the work and returns the ms it took."""

    name: str
    time_ms: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, smallest, largest and inter-quartile range of some values, in their unit."""

    median: float
    low: float
    high: float
    iqr: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of one value or more."""
        low, first, median, third, high = np.percentile(values, [0, 25, 50, 75, 100]).tolist()
        return cls(median, low, high, third - first)


def wall_clock(call: Callable[[], object]) -> Callable[[], float]:
    """A call that does the same and returns the ms it took."""

    def timed() -> float:
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) * 1e3

    return timed


def measure(sides: Sequence[Side], rounds: int, warmup: int, *, lead_in: bool = True) -> Times:
    """Run sides in turn, A B A B; their times come back round by round, so that they compare pair by pair.

    Args:
        sides, rounds: What to run, and how many timed turns each gets.
        warmup: Turns before them that are not kept.
        lead_in: Whether a call that is not timed begins each turn; needless where a call starts a fresh process.

    Raises:
        OptionError: No round is asked for.
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
    """Time of a side over time of the reference, round by round."""
    return Spread.of([a / b for a, b in zip(times[side], times[reference], strict=True)])
