"""The comparison of two sets of results as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from fastsam_bench.report.formatting import significant
from fastsam_bench.results.comparison import FALSE_ALARMS, Change, Comparison
from fastsam_bench.results.records import Interval


def describe(comparison: Comparison) -> str:
    """Describe what changed, by which rule, and what could not be compared."""
    parts = [*(f"note: {note}" for note in comparison.notes), _rule(comparison)]
    slower = [change for change in comparison.changes if change.slower]
    faster = [change for change in comparison.changes if not change.slower]
    parts += [*_listed("slower", slower), *_listed("faster", faster)]
    if not comparison.changes:
        parts.append("nothing changed beyond the noise")
    for title, cases in (("only before", comparison.only_before), ("only after", comparison.only_after)):
        if cases:
            parts += [f"{title}:", *(f"  {case}" for case in cases)]
    return "\n".join(parts)


def _rule(comparison: Comparison) -> str:
    return (
        f"{comparison.times_compared} times compared; changes of {comparison.least_ratio - 1:.0%} or more are reported "
        f"if they exceed the noise (about one false report in {1 / FALSE_ALARMS:.0f} comparisons); at this noise "
        f"changes from about {comparison.visible - 1:.0%} on are visible; median ratio of all times "
        f"x{comparison.together:.3f}; the intervals of {comparison.agreeing} of {comparison.whole_calls} whole calls "
        "overlap"
    )


def _listed(title: str, changes: Sequence[Change]) -> list[str]:
    lines = [f"{title}:"] if changes else []
    for change in changes:
        lines.append(f"  {change.case}  {change.stage}  {_times(change)}")
        if change.whole is not None:
            lines.append(f"    and with it the whole call  {_times(change.whole)}")
    return lines


def _times(change: Change) -> str:
    return f"x{change.ratio:.2f}  {_interval(change.before)} -> {_interval(change.after)} ms"


def _interval(time: Interval) -> str:
    return f"{significant(time.p50)} ({significant(time.low)}-{significant(time.high)})"
