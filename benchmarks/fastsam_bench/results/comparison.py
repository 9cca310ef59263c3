"""What changed between two sets of results, beyond what noise does.

A figure counts as changed where all of this holds:

- its 95 percent intervals before and after lie apart;
- the medians differ by a least ratio (5 percent) and a least time (0.01 ms);
- the difference is larger than chance makes *any* of the figures compared differ, but once in twenty comparisons:
  among hundreds of figures, 95 percent intervals alone would name some every time. The bound is Bonferroni's, of
  Student's t with Welch's degrees of freedom, since an interval comes from a dozen blocks or runs. An error that is
  smaller than half the usual one is taken for luck and widened. And since intervals within a run say nothing of what
  differs between two processes that do the same, how the figures all together scatter beyond their intervals is added
  to each, 1 percent at least (a model of random effects, its variance from the median deviation, which the few that
  changed do not move). Where each side has several runs their own scatter tells that; see `ComparedTime`.

A stage that changed changes the whole call; that is told under the stage, not as a finding of its own.
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
FALSE_ALARMS = 0.05  # comparisons of equal results, of a hundred, in which anything is named
_CLOCK_MS = 0.001  # below it times are not told apart
_ENOUGH = 20  # figures that tell how all of them scatter
_LEAST_BETWEEN = 0.01  # of two processes that do the same, relative
_EXPLAINED = 0.5  # of the whole's change, by its stages

Figures = Mapping[tuple[str, str], ComparedTime]  # case and stage to its time


@dataclass(frozen=True, slots=True)
class Change:
    """A figure that changed.

    Attributes:
        case: Id of the cell, or which cold start or sweep.
        stage: Its stage, or `whole`.
        before, after: ms.
        whole: The whole call's change, where it follows from this stage's; None where it did not change or stands for
            itself.
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
    """Two sets of results, held side by side.

    Attributes:
        changes: Slower ones first, the largest change first among them.
        figures: How many were compared.
        visible: The ratio that a figure of usual noise had to change by to be named.
        together: Median ratio of all figures.
        only_before, only_after: Cases that the other set lacks, with why where it is known.
        remarks: Machines, versions and runs that differ or are not whole.
        whole_calls, agreeing: How many whole calls were compared, and of how many the intervals overlap.
        least_ratio: The least ratio of the rule.
    """

    changes: tuple[Change, ...]
    figures: int
    visible: float
    together: float
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    remarks: tuple[str, ...]
    whole_calls: int
    agreeing: int
    least_ratio: float = LEAST_RATIO

    def as_document(self) -> dict[str, Any]:
        """The comparison as JSON's types."""
        document = dataclasses.asdict(self)
        document["changes"] = [_change_document(change) for change in self.changes]
        return document


def compare(before: Results, after: Results, least_ratio: float = LEAST_RATIO) -> Comparison:
    """Compare results figure by figure.

    Args:
        before, after: Each of one run or more; of four or more runs of a cell their own scatter counts.
        least_ratio: Smaller changes are not told.
    """
    old, new = figures(before), figures(after)
    common = [key for key in old if key in new]
    rule = _Rule([(old[key], new[key]) for key in common], least_ratio)
    changed = {key: Change(*key, old[key].time, new[key].time) for key in common if rule.names(old[key], new[key])}
    whole = [key for key in common if key[1] == WHOLE]
    changes = sorted(_told(changed), key=lambda change: (not change.slower, -abs(math.log(change.ratio))))
    return Comparison(
        tuple(changes),
        len(common),
        rule.visible,
        rule.together,
        _only(old, new, after),
        _only(new, old, before),
        (*_remarks(before, after), *_few([(old[key], new[key]) for key in common])),
        len(whole),
        sum(_overlap(old[key].time, new[key].time) for key in whole),
        least_ratio,
    )


def figures(results: Results) -> dict[tuple[str, str], ComparedTime]:
    """Every time that can be compared, of cells and their stages, cold starts, and our side of sweeps."""
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
    """When a figure counts as changed."""

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
        """Whether the figure changed."""
        log = abs(_log_ratio(before, after))
        enough = log > self._least and abs(after.time.p50 - before.time.p50) >= LEAST_MS
        return enough and not _overlap(before.time, after.time) and log > self._needed(before, after)

    def _needed(self, before: ComparedTime, after: ComparedTime) -> float:
        """Which logarithm of their ratio is beyond chance."""
        old, new = (self._error(each) ** 2 for each in (before, after))
        freedom = (old + new) ** 2 / (old**2 / before.freedom + new**2 / after.freedom)  # Welch and Satterthwaite
        return student_t(self._sure, freedom) * self._noise(before, after)

    def _noise(self, before: ComparedTime, after: ComparedTime) -> float:
        """Standard error of the logarithm of their ratio."""
        return math.hypot(self._error(before), self._error(after), self._between)

    def _error(self, one: ComparedTime) -> float:
        return max(one.error, self._usual / 2, _CLOCK_MS / one.time.p50)


def _overlap(before: Interval, after: Interval) -> bool:
    return before.low <= after.high and after.low <= before.high


def _log_ratio(before: ComparedTime, after: ComparedTime) -> float:
    return math.log(after.time.p50 / before.time.p50)


def _told(changed: Mapping[tuple[str, str], Change]) -> list[Change]:
    """Changes with those of whole calls put under the stage that they follow from."""
    told = []
    for case in dict.fromkeys(case for case, _ in changed):
        whole = changed.get((case, WHOLE))
        stages = [change for (name, stage), change in changed.items() if name == case and stage != WHOLE]
        if whole is not None:
            by_stages_ms = sum(map(_difference_ms, stages))
            if by_stages_ms / _difference_ms(whole) >= _EXPLAINED:
                first = max(stages, key=lambda change: abs(_difference_ms(change)))
                stages[stages.index(first)] = dataclasses.replace(first, whole=whole)
            else:
                told.append(whole)
        told.extend(stages)
    return told


def _difference_ms(change: Change) -> float:
    return change.after.p50 - change.before.p50


def _only(here: Figures, there: Figures, other: Results) -> tuple[str, ...]:
    """Cases, and stages of common cases, that the other results lack."""
    failed = {each.id: each.error for run in other.runs for each in run.of(Failed)}
    cases = {case for case, _ in there}
    lone = dict.fromkeys(case for case, _ in here if case not in cases)
    return (
        *(f"{case} (failed there: {failed[case]})" if case in failed else case for case in lone),
        *(f"{case}: {stage}" for case, stage in here if case in cases and (case, stage) not in there),
    )


def _remarks(before: Results, after: Results) -> tuple[str, ...]:
    """What makes the two differ in more than the code, and what is not whole."""
    remarks = [*before.remarks, *after.remarks]
    facts = _facts(before), _facts(after)
    for name in dict.fromkeys((*facts[0], *facts[1])):
        old, new = (", ".join(sorted(each.get(name, {"none"}))) for each in facts)
        if old != new:
            remarks.append(f"{name} differs: {old} before, {new} after")
    if min(len(before.runs), len(after.runs)) >= ENOUGH_RUNS and not _in_turn(before, after):
        remarks.append("the runs of the two sides were not taken in turn: what the machine did between them is in it")
    for side, results in (("before", before), ("after", after)):
        for run in results.runs:
            if run.partial:
                remarks.append(f"{side}: run {run.name} was stopped half-way")
            if shaky := [cell.id for cell in run.of(Cell) if not cell.steady]:
                remarks.append(f"{side}: {len(shaky)} cells of run {run.name} had not settled: {', '.join(shaky)}")
    return tuple(remarks)


def _in_turn(before: Results, after: Results) -> bool:
    old, new = ([run.run.time for run in side.runs] for side in (before, after))
    return min(old) <= max(new) and min(new) <= max(old)


def _few(pairs: Sequence[tuple[ComparedTime, ComparedTime]]) -> list[str]:
    runs = min((each.runs for pair in pairs for each in pair), default=0)
    if len(pairs) >= _ENOUGH or runs >= ENOUGH_RUNS:
        return []
    told = f"{len(pairs)} figures are too few to tell how two processes differ that do the same"
    return [f"{told}; {_LEAST_BETWEEN:.0%} was taken; {ENOUGH_RUNS} runs or more on each side, in turn, tell it"]


def _facts(results: Results) -> dict[str, set[str]]:
    """Of each fact of the machines, its values."""
    facts: dict[str, set[str]] = {}
    for run in results.runs:
        host = run.run.machine
        gpus = ", ".join(f"{gpu.name} (driver {gpu.driver})" for gpu in host.gpus)
        named = {"processor": host.processor, "cores": str(host.cores), "system": host.system, "GPUs": gpus or "none",
                 "Python": host.python, **host.versions}  # fmt: skip
        for name, value in named.items():
            facts.setdefault(name, set()).add(value)
    return facts


def _change_document(change: Change) -> dict[str, Any]:
    return {
        **dataclasses.asdict(change),
        "ratio": round(change.ratio, 4),
        "whole": None if change.whole is None else _change_document(change.whole),
    }
