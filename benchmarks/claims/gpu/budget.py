"""The tasks of `main.py` in order of importance, and the time that they share: what does not fit is named, not run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
LACKING = ("skipped", "missing", "wrong")
"""Kinds of rows that say why there is no answer, or none that holds."""
_RESERVE_S = 3.0  # for the table at the end


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work for a process of its own.

    Attributes:
        title: In rows and on the screen.
        kind: Which function of `worker.py` does it.
        given: What that function is given, as JSON can hold it.
        usual_s: What it usually takes; with less left it is not begun.
        limit_s: After which it is ended, whatever it has done.
        cases: Titles of what it answers for, each with a row of the kind `closes`; one without gets a row with the
            reason. None: it has done its work if it has any row.
        closes: See there.
        side: Whose work it is; in the rows that say what is missing.
    """

    title: str
    kind: str
    given: Mapping[str, Any] = field(default_factory=dict)
    usual_s: float = 10.0
    limit_s: float = 60.0
    cases: tuple[str, ...] = ()
    closes: str = ""
    side: str = ""


class Budget:
    """Seconds that may be spent, counted from now."""

    def __init__(self, total_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start, self._total_s = clock(), total_s

    @property
    def spent_s(self) -> float:
        """Since the beginning."""
        return self._clock() - self._start

    @property
    def left_s(self) -> float:
        """For tasks; may be below 0."""
        return self._total_s - _RESERVE_S - self.spent_s


def run_tasks(
    tasks: Iterable[Task], budget: Budget, run: Callable[[Task, float], Iterator[Row]]
) -> Iterator[tuple[Task, Row]]:
    """Run tasks in order while their time is there; every task has rows, be it the one that says why it has no others.

    Args:
        tasks: Most important first.
        budget: What they share.
        run: Runs one within seconds, and gives its rows as they come; a row of kind `end` with a note closes a task
            that did not end well.
    """
    for task in tasks:
        left_s = budget.left_s
        if left_s < task.usual_s:
            note = f"not run: it usually takes {task.usual_s:.0f} s, and {max(left_s, 0):.0f} s are left"
            yield from ((task, _without("skipped", task, title, note)) for title in task.cases or (task.title,))
            continue
        before_s, answered, why = budget.spent_s, set[str](), "it ended without an answer"
        for row in run(task, min(left_s, task.limit_s)):
            if row.get("kind") == "end":
                why = row["note"]
                continue
            if row.get("kind") in (task.closes, *LACKING) or not task.cases:
                answered.add(str(row.get("title", "")))
            yield task, row
        lacking = task.cases if task.cases or answered else (task.title,)
        for title in lacking:
            if title not in answered:
                yield task, _without("missing", task, title, why)
        yield task, {"kind": "task", "title": task.title, "spent s": round(budget.spent_s - before_s, 2)}


def _without(kind: str, task: Task, title: str, why: str) -> Row:
    """The row of what has no answer."""
    return {"kind": kind, "title": title, **({"side": task.side} if task.side else {}), "note": why}
