"""Compare two sets of results, and report the times that changed by more than noise.

A time counts as changed if all of these hold:

- its 95 percent intervals before and after do not overlap;
- the medians differ by a minimum ratio (5 percent) and a minimum time (0.01 ms);
- the difference is so large that, without a real change, *any* of the compared times would differ as much in only one
  of twenty comparisons. Among hundreds of times 95 percent intervals alone would always report some.

The third bound is Bonferroni's, with Student's t and Welch's degrees of freedom, since an interval comes from about a
dozen blocks or runs. An error below half of the median error is considered luck, and widened. Intervals within a run do
not include differences between two processes that do the same, so the scatter of all times beyond their intervals is
added to each error, at least 1 percent. This is a model of random effects, with its variance from the median deviation,
which the few changed times do not affect. If each side has several runs, their scatter is used instead; see
`ComparedTime`.

A changed stage also changes the whole call. That is reported with the stage, not as another change.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import Any

from fastsam_bench.results.compared_time import ENOUGH_RUNS, ComparedTime, student_t
from fastsam_bench.results.records import Cell, Cold, Failed, Interval, Sweep
from fastsam_bench.results.runs import Results, cold_key, sweep_key

WHOLE = "whole"
LEAST_RATIO = 1.05
LEAST_MS = 0.01
FALSE_ALARMS = 0.05  # share of comparisons of equal results that report any change
_CLOCK_MS = 0.001  # shorter times can't be distinguished
_ENOUGH = 20  # number of times from which their scatter can be computed
_LEAST_BETWEEN = 0.01  # smallest relative difference assumed between two processes that do the same
_EXPLAINED = 0.5  # share of the change of a whole call that its stages must explain

Times = Mapping[tuple[str, str], ComparedTime]  # case and stage to its time


@dataclass(frozen=True, slots=True)
class Change:
    """A time that changed.

    Attributes:
        case: Id of the cell, cold start or sweep.
        stage: The stage, or `whole`.
        before, after: ms.
        whole: The change of the whole call that this stage explains; None if there is none.
    """

    case: str
    stage: str
    before: Interval
    after: Interval
    whole: Change | None = None

    @property
    def ratio(self) -> float:
        """Time after over time before."""
        return self.after.p50 / self.before.p50

    @property
    def slower(self) -> bool:
        """Whether it takes longer now."""
        return self.after.p50 > self.before.p50


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of two sets of results.

    Attributes:
        changes: Slower times first, with the largest change first; then faster ones.
        times_compared: Number of compared times.
        visible: The smallest ratio that is reported for a time with median noise.
        together: Median ratio of all times.
        only_before, only_after: Cases that the other set lacks, with the reason if it is known.
        notes: Differences of machines and versions, and runs that are incomplete.
        whole_calls, agreeing: Number of compared whole calls, and of those whose intervals overlap.
        least_ratio: Smallest ratio that counts as a change.
    """

    changes: tuple[Change, ...]
    times_compared: int
    visible: float
    together: float
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    notes: tuple[str, ...]
    whole_calls: int
    agreeing: int
    least_ratio: float = LEAST_RATIO


def compare(before: Results, after: Results, least_ratio: float = LEAST_RATIO) -> Comparison:
    """Compare the times of two sets of results.

    Args:
        before, after: Results of one or more runs. From four runs of a cell on, their scatter is used.
        least_ratio: Smaller changes are not reported.
    """
    old, new = compared_times(before), compared_times(after)
    common = [key for key in old if key in new]
    rule = _Rule([(old[key], new[key]) for key in common], least_ratio)
    changed = {key: Change(*key, old[key].time, new[key].time) for key in common if rule.names(old[key], new[key])}
    whole = [key for key in common if key[1] == WHOLE]
    changes = sorted(_reported(changed), key=lambda change: (not change.slower, -abs(math.log(change.ratio))))
    return Comparison(
        tuple(changes),
        len(common),
        rule.visible,
        rule.together,
        _only(old, new, after),
        _only(new, old, before),
        (*_notes(before, after), *_few([(old[key], new[key]) for key in common])),
        len(whole),
        sum(_overlap(old[key].time, new[key].time) for key in whole),
        least_ratio,
    )


def compared_times(results: Results) -> dict[tuple[str, str], ComparedTime]:
    """Every time that can be compared: of cells and their stages, cold starts, and our side of sweeps."""
    found: dict[tuple[str, str], list[Interval]] = {}

    def add(case: str, stage: str, time: Any) -> None:
        seen = (max(ms, _CLOCK_MS) for ms in (time.p50, time.low, time.high))
        found.setdefault((case, stage), []).append(Interval(*seen))

    for run in results.runs:
        for cell in run.of(Cell):
            add(cell.id, WHOLE, cell.latency_ms)
            for stage, time in cell.stages.items():
                add(cell.id, stage, time)
        for cold in run.of(Cold):
            add("/".join(("cold", *cold_key(cold))), WHOLE, cold.first_result_ms)
        for sweep in run.of(Sweep):
            if sweep.side == "ours":
                add("/".join(("sweep", *map(str, sweep_key(sweep)))), WHOLE, sweep.latency_ms)
    return {key: ComparedTime.of(times) for key, times in found.items()}


class _Rule:
    """Decides whether a time changed."""

    def __init__(self, pairs: Sequence[tuple[ComparedTime, ComparedTime]], least_ratio: float) -> None:
        self._least = math.log(least_ratio)
        self._usual = median(each.error for pair in pairs for each in pair) if pairs else 0.0
        self._sure = 1 - FALSE_ALARMS / (2 * max(len(pairs), 1))
        self._between = 0.0
        noise = median(self._noise(*pair) for pair in pairs) if pairs else 0.0
        logs = [_log_ratio(*pair) for pair in pairs] or [0.0]
        centre = median(logs)
        scatter = median(abs(log - centre) for log in logs) / NormalDist().inv_cdf(0.75)
        known = math.sqrt(max(scatter**2 - noise**2, 0.0)) if len(logs) >= _ENOUGH else 0.0
        self._between = max(known, _LEAST_BETWEEN)
        self.together = math.exp(centre)
        self.visible = math.exp(max(self._least, median(self._needed(*pair) for pair in pairs) if pairs else 0.0))

    def names(self, before: ComparedTime, after: ComparedTime) -> bool:
        """Whether the time changed."""
        log = abs(_log_ratio(before, after))
        enough = log > self._least and abs(after.time.p50 - before.time.p50) >= LEAST_MS
        return enough and not _overlap(before.time, after.time) and log > self._needed(before, after)

    def _needed(self, before: ComparedTime, after: ComparedTime) -> float:
        """The logarithm of the ratio from which a difference is not chance."""
        old, new = (self._error(each) ** 2 for each in (before, after))
        freedom = (old + new) ** 2 / (old**2 / before.freedom + new**2 / after.freedom)  # Welch and Satterthwaite
        return student_t(self._sure, freedom) * self._noise(before, after)

    def _noise(self, before: ComparedTime, after: ComparedTime) -> float:
        """Standard error of the logarithm of the ratio."""
        return math.hypot(self._error(before), self._error(after), self._between)

    def _error(self, one: ComparedTime) -> float:
        return max(one.error, self._usual / 2, _CLOCK_MS / one.time.p50)


def _overlap(before: Interval, after: Interval) -> bool:
    return before.low <= after.high and after.low <= before.high


def _log_ratio(before: ComparedTime, after: ComparedTime) -> float:
    return math.log(after.time.p50 / before.time.p50)


def _reported(changed: Mapping[tuple[str, str], Change]) -> list[Change]:
    """The changes to report: the change of a whole call is attached to the stage that explains it."""
    reported = []
    for case in dict.fromkeys(case for case, _ in changed):
        whole = changed.get((case, WHOLE))
        stages = [change for (name, stage), change in changed.items() if name == case and stage != WHOLE]
        if whole is not None:
            by_stages_ms = sum(map(_difference_ms, stages))
            if by_stages_ms / _difference_ms(whole) >= _EXPLAINED:
                first = max(stages, key=lambda change: abs(_difference_ms(change)))
                stages[stages.index(first)] = dataclasses.replace(first, whole=whole)
            else:
                reported.append(whole)
        reported.extend(stages)
    return reported


def _difference_ms(change: Change) -> float:
    return change.after.p50 - change.before.p50


def _only(here: Times, there: Times, other: Results) -> tuple[str, ...]:
    """Cases that the other results lack, and stages of common cases that they lack."""
    failed = {each.id: each.error for run in other.runs for each in run.of(Failed)}
    cases = {case for case, _ in there}
    lone = dict.fromkeys(case for case, _ in here if case not in cases)
    return (
        *(f"{case} (failed there: {failed[case]})" if case in failed else case for case in lone),
        *(f"{case}: {stage}" for case, stage in here if case in cases and (case, stage) not in there),
    )


def _notes(before: Results, after: Results) -> tuple[str, ...]:
    """Differences of machines, versions and runs, and incomplete runs."""
    notes = [*before.notes, *after.notes]
    facts = _facts(before), _facts(after)
    for name in dict.fromkeys((*facts[0], *facts[1])):
        old, new = (", ".join(sorted(each.get(name, {"none"}))) for each in facts)
        if old != new:
            notes.append(f"{name} differs: {old} before, {new} after")
    if min(len(before.runs), len(after.runs)) >= ENOUGH_RUNS and not _in_turn(before, after):
        notes.append("the runs of the two sides were not made in turn, so changes of the machine are included")
    for side, results in (("before", before), ("after", after)):
        for run in results.runs:
            if run.partial:
                notes.append(f"{side}: run {run.name} was stopped before its end")
            if shaky := [cell.id for cell in run.of(Cell) if not cell.steady]:
                notes.append(f"{side}: {len(shaky)} cells of run {run.name} were not steady: {', '.join(shaky)}")
    return tuple(notes)


def _in_turn(before: Results, after: Results) -> bool:
    old, new = ([run.run.time for run in side.runs] for side in (before, after))
    return min(old) <= max(new) and min(new) <= max(old)


def _few(pairs: Sequence[tuple[ComparedTime, ComparedTime]]) -> list[str]:
    runs = min((each.runs for pair in pairs for each in pair), default=0)
    if len(pairs) >= _ENOUGH or runs >= ENOUGH_RUNS:
        return []
    few = f"{len(pairs)} times are too few to measure how much two processes differ that do the same"
    return [f"{few}; {_LEAST_BETWEEN:.0%} is assumed; make {ENOUGH_RUNS} runs or more per side, in turn, to measure it"]


def _facts(results: Results) -> dict[str, set[str]]:
    """The values of each fact of the machines."""
    facts: dict[str, set[str]] = {}
    for run in results.runs:
        host = run.run.machine
        gpus = ", ".join(f"{gpu.name} (driver {gpu.driver})" for gpu in host.gpus)
        named = {"processor": host.processor, "cores": str(host.cores), "system": host.system, "GPUs": gpus or "none",
                 "Python": host.python, **host.versions}  # fmt: skip
        for name, value in named.items():
            facts.setdefault(name, set()).add(value)
    return facts
