"""Warm up until times are steady, time blocks of calls, and compute medians with 95 percent intervals.

The cells of a run are measured in several passes over all of them, A B C A B C, with one block per pass. The blocks of
a cell are therefore minutes apart, and its interval includes slow changes of the machine (clocks, other load), so that
two runs agree within it. The interval of consecutive blocks would describe a single minute only.
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
"""Start of the warning after a warm-up that ended before times were steady."""
_STEADY_BLOCKS = 3
_STEADY_RATIO = 1.05  # of their medians
_SLOTS = 12  # blocks of a warm-up at its time limit
_LEAD_IN_MS, _MOST_LEADS = 100.0, 3  # calls that are not recorded: caches and threads still belong to another cell
_FEWEST = 3  # values that an interval needs
_OF_A_MEDIAN = math.sqrt(math.pi / 2)  # standard error of a median over that of a mean
_T975 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20)  # Student's t by degrees of freedom, from 1
_T975_BEYOND = 2.18
_MOST_ALIKE = 0.8  # largest autocorrelation that about ten values can show
_ALL_OF = 6  # up to this many values their whole range contains the median with at most 97 percent


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive timed calls.

    Attributes:
        calls: Times of each call.
        fps: Frames per second over the block.
    """

    calls: tuple[Times, ...]
    fps: float

    def median(self, stage: str) -> float:
        """Median time of a stage, ms."""
        return float(np.median([call.get(stage, 0.0) for call in self.calls]))


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The result of a warm-up.

    Attributes:
        runs: Number of calls.
        steady: Whether their times became steady.
        limit_s: Its time limit.
        last_ms: Time of a call at the end.
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
    """Make calls until the medians of three consecutive blocks agree within a few percent, or time is up.

    Args:
        call: Makes one call, and returns its times.
        limit_s: Time limit; at least two calls are made.
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
    """Time calls for a number of seconds, at least one. Short calls are preceded by a few that are not recorded.

    Args:
        call: Makes one call, and returns its times.
        seconds: Duration of the block.
        expected_ms: Approximate time of a call.
        frames: Frames per call.
    """
    for _ in range(min(round(_LEAD_IN_MS / max(expected_ms, 1.0)), _MOST_LEADS)):
        call()
    calls: list[Times] = []
    start = time.perf_counter()
    while not calls or time.perf_counter() - start < seconds:
        calls.append(call())
    return Block(tuple(calls), frames * len(calls) * 1e3 / sum(each[WHOLE] for each in calls))


def state(values: Sequence[float]) -> Stated:
    """The median of the values of blocks, and its 95 percent interval.

    The interval is Student's, of the logarithms of the values. With six values or fewer it is widened to include all.
    On a machine that drifts, neighbouring values are similar, so they do not count as independent: their effective
    number follows from their first autocorrelation. Otherwise a run one minute later would lie outside the interval.

    Args:
        values: One value above 0 per block.
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
    """The share of values that count as independent, for a first-order autoregression; 1 for a short series."""
    apart = values - values.mean()
    power = float(apart @ apart)
    if len(values) <= _ALL_OF or power == 0:
        return 1.0
    alike = float(apart[1:] @ apart[:-1]) / power + 1 / len(values)  # corrects the bias from subtracting the mean
    alike = min(max(alike, 0.0), _MOST_ALIKE)
    return (1 - alike) / (1 + alike)


def state_stage(blocks: Sequence[Block], stage: str) -> Stated:
    """Median time of a stage over blocks, ms. One or two blocks are split into three."""
    return state([block.median(stage) for block in _three_at_least(blocks)])


def percentile(blocks: Sequence[Block], stage: str, rank: float) -> float:
    """A percentile of the times of a stage, ms. Blocks have equal weight, whatever their numbers of calls.

    Args:
        blocks: At least one block.
        stage: Name of a stage, or `whole`.
        rank: 0 to 100.
    """
    spent = np.array([call.get(stage, 0.0) for block in blocks for call in block.calls])
    weights = np.array([1 / len(block.calls) for block in blocks for _ in block.calls])
    order = np.argsort(spent)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(spent[order][min(int(np.searchsorted(reached, rank / 100 - 1e-9)), len(spent) - 1)])


def state_rate(blocks: Sequence[Block]) -> Stated:
    """Median rate of blocks, frames per second. One or two blocks are split into three."""
    return state([block.fps for block in _three_at_least(blocks)])


def _three_at_least(blocks: Sequence[Block]) -> Sequence[Block]:
    calls = [call for block in blocks for call in block.calls]
    if len(blocks) >= _FEWEST or len(calls) < _FEWEST:
        return blocks
    fps = float(np.median([block.fps for block in blocks]))
    middle = float(np.median([call[WHOLE] for call in calls]))
    edges = [round(len(calls) * part / _FEWEST) for part in range(_FEWEST + 1)]
    parts = [calls[start:end] for start, end in pairwise(edges)]  # in order, so that a trend stays visible
    rates = [fps * middle / float(np.median([call[WHOLE] for call in part])) for part in parts]
    return [Block(tuple(part), rate) for part, rate in zip(parts, rates, strict=True)]


def thinned(values: Sequence[float], most: int = 400) -> tuple[float, ...]:
    """At most `most` of the values, in order and evenly spread."""
    if len(values) <= most:
        return tuple(values)
    return tuple(values[round(index)] for index in np.linspace(0, len(values) - 1, most))
