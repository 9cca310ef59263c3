"""Timing: a warm-up until times have settled, timed blocks, and the interval that a figure is told with.

The cells of a run are measured in several passes over all of them, A B C A B C, a block a pass. So the blocks of a cell
lie minutes apart, and what a machine does in such a time (clocks, neighbours) is inside its interval: two runs agree
within it. Blocks one right after the other would tell how sure the machine was of that one minute.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WHOLE = "whole"
Times = Mapping[str, float]  # stage, and `whole` for the call, to ms

CHANGING = "times still changed"
"""How the warning of a warm-up begins that ended before times had settled."""
_STEADY_BLOCKS = 3
_STEADY_RATIO = 1.05  # of their medians
_SLOTS = 12  # blocks that a warm-up has time for
_LEAD_IN_MS, _MOST_LEADS = 100.0, 3  # of calls that are not kept: caches and spinning threads are of another cell
_FEWEST = 3  # values that an interval needs
_OF_A_MEDIAN = math.sqrt(math.pi / 2)  # its standard error over the mean's
_T975 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20)  # Student's t by degrees of freedom, from 1
_T975_BEYOND = 2.18
_MOST_ALIKE = 0.8  # autocorrelation that ten or so values can tell
_ALL_OF = 6  # values or fewer, of which smallest and largest hold the median with no more than 97 percent


@dataclass(frozen=True, slots=True)
class Block:
    """Calls that were timed one after another.

    Attributes:
        calls: Times of each.
        fps: Frames a second over the block.
    """

    calls: tuple[Times, ...]
    fps: float

    def median(self, stage: str) -> float:
        """Of a stage's times, ms."""
        return float(np.median([call.get(stage, 0.0) for call in self.calls]))


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How a warm-up ended.

    Attributes:
        runs: Calls that were made.
        steady: Whether their times had settled.
        limit_s: The time that it was given.
        last_ms: What a call took at the end.
    """

    runs: int
    steady: bool
    limit_s: float
    last_ms: float


@dataclass(frozen=True, slots=True)
class Stated:
    """A median and its 95 percent interval."""

    median: float
    low: float
    high: float


def warm_up(call: Callable[[], Times], limit_s: float) -> WarmUp:
    """Call until the medians of three blocks in a row lie within a few percent, or the time is over.

    Args:
        call: One call; gives its times.
        limit_s: Time that it may take; at least two calls are made.
    """
    medians: list[float] = []
    runs, start = 0, time.perf_counter()
    while True:
        spent: list[float] = []
        begun = time.perf_counter()
        while not spent or time.perf_counter() - begun < limit_s / _SLOTS:
            spent.append(call()[WHOLE])
        runs += len(spent)
        medians.append(float(np.median(spent)))
        last = medians[-_STEADY_BLOCKS:]
        if len(last) == _STEADY_BLOCKS and max(last) <= _STEADY_RATIO * min(last):
            return WarmUp(runs, steady=True, limit_s=limit_s, last_ms=medians[-1])
        if runs > 1 and time.perf_counter() - start > limit_s:
            return WarmUp(runs, steady=False, limit_s=limit_s, last_ms=medians[-1])


def time_block(call: Callable[[], Times], seconds: float, expected_ms: float, frames: int = 1) -> Block:
    """Time calls for so many seconds, one at least, after some that are not kept, unless a call takes long itself.

    Args:
        call: One call; gives its times.
        seconds: How long.
        expected_ms: What a call takes, about.
        frames: Frames that a call takes.
    """
    for _ in range(min(round(_LEAD_IN_MS / max(expected_ms, 1.0)), _MOST_LEADS)):
        call()
    calls: list[Times] = []
    start = time.perf_counter()
    while not calls or time.perf_counter() - start < seconds:
        calls.append(call())
    return Block(tuple(calls), frames * len(calls) * 1e3 / sum(each[WHOLE] for each in calls))


def state(values: Sequence[float]) -> Stated:
    """The median of values of blocks, and its 95 percent interval.

    The interval is Student's, of the logarithms of the values, widened to all of them where these are six or fewer.
    More are not taken for independent where neighbours are alike, as they are on a machine that drifts: they count for
    as few as their first autocorrelation says, since a run a minute later would lie elsewhere on that drift.

    Args:
        values: Above 0, one a block.
    """
    middle = float(np.median(values))
    if len(values) < 2 or min(values) <= 0:
        return Stated(middle, min(values), max(values))
    freedom = len(values) - 1
    quantile = _T975[freedom - 1] if freedom <= len(_T975) else _T975_BEYOND
    logs = np.log(values)
    error = _OF_A_MEDIAN * float(np.std(logs, ddof=1)) / math.sqrt(len(values) * _independent(logs))
    low, high = middle * math.exp(-quantile * error), middle * math.exp(quantile * error)
    if len(values) <= _ALL_OF:
        low, high = min(low, *values), max(high, *values)
    return Stated(middle, low, high)


def _independent(values: NDArray[np.float64]) -> float:
    """Which part of a series' values counts as independent (of a first-order autoregression), 1 for a short one."""
    apart = values - values.mean()
    power = float(apart @ apart)
    if len(values) <= _ALL_OF or power == 0:
        return 1.0
    alike = float(apart[1:] @ apart[:-1]) / power + 1 / len(values)  # what the mean's own part takes from it is added
    alike = min(max(alike, 0.0), _MOST_ALIKE)
    return (1 - alike) / (1 + alike)


def state_stage(blocks: Sequence[Block], stage: str) -> Stated:
    """The median time of a stage over blocks, ms; of one or two blocks their calls make three."""
    return state([block.median(stage) for block in _three_at_least(blocks)])


def percentile(blocks: Sequence[Block], stage: str, rank: float) -> float:
    """A percentile of a stage's times, ms, each block counting the same: a quick block has more calls, not more weight.

    Args:
        blocks: One at least.
        stage: Or `whole`.
        rank: 0 to 100.
    """
    spent = np.array([call.get(stage, 0.0) for block in blocks for call in block.calls])
    weights = np.array([1 / len(block.calls) for block in blocks for _ in block.calls])
    order = np.argsort(spent)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(spent[order][min(int(np.searchsorted(reached, rank / 100 - 1e-9)), len(spent) - 1)])


def state_rate(blocks: Sequence[Block]) -> Stated:
    """The median rate of blocks, frames a second; of one or two blocks their calls make three."""
    return state([block.fps for block in _three_at_least(blocks)])


def _three_at_least(blocks: Sequence[Block]) -> Sequence[Block]:
    calls = [call for block in blocks for call in block.calls]
    if len(blocks) >= _FEWEST or len(calls) < _FEWEST:
        return blocks
    fps = float(np.median([block.fps for block in blocks]))
    middle = float(np.median([call[WHOLE] for call in calls]))
    edges = [round(len(calls) * part / _FEWEST) for part in range(_FEWEST + 1)]
    parts = [calls[start:end] for start, end in pairwise(edges)]  # in order: a trend stays in them
    rates = [fps * middle / float(np.median([call[WHOLE] for call in part])) for part in parts]
    return [Block(tuple(part), rate) for part, rate in zip(parts, rates, strict=True)]


def thinned(values: Sequence[float], most: int = 400) -> tuple[float, ...]:
    """At most so many of the values, in order and evenly spread."""
    if len(values) <= most:
        return tuple(values)
    return tuple(values[round(place)] for place in np.linspace(0, len(values) - 1, most))
