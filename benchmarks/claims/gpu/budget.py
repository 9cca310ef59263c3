"""Run tasks in order of importance within a time budget. Tasks that no longer fit are reported instead of run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
LACKING = ("skipped", "missing", "wrong")
"""Kinds of rows that say why there is no correct result."""
_RESERVE_S = 3.0  # reserved for the table at the end


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work for a separate process.

    Attributes:
        title: Title in rows and on the screen.
        kind: Name of the function of `worker.py` that does it.
        given: Arguments of the function, as JSON types.
        usual_s: Usual duration; with less time left the task is not started.
        limit_s: Duration after which the process is ended.
        cases: Titles of its cases. Each should get a row of kind `closes`; one without gets a row with the reason.
            Empty: any row completes the task.
        closes: Kind of row that completes a case.
        side: Name of the side, for rows about missing results.
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
    """A budget of seconds, from now on."""

    def __init__(self, total_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start, self._total_s = clock(), total_s

    @property
    def spent_s(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def left_s(self) -> float:
        """Seconds left for tasks; may be below 0."""
        return self._total_s - _RESERVE_S - self.spent_s


def run_tasks(
    tasks: Iterable[Task], budget: Budget, run: Callable[[Task, float], Iterator[Row]]
) -> Iterator[tuple[Task, Row]]:
    """Run tasks in order while there is time. Every task yields rows, at least one that says why there are no others.

    Args:
        tasks: The most important first.
        budget: The time budget.
        run: Runs a task within a number of seconds, and yields its rows as they come. A row of kind `end` with a note
            means that the task failed.
    """
    for task in tasks:
        left_s = budget.left_s
        if left_s < task.usual_s:
            note = f"not run: it usually takes {task.usual_s:.0f} s, and {max(left_s, 0):.0f} s are left"
            yield from ((task, _without("skipped", task, title, note)) for title in task.cases or (task.title,))
            continue
        before_s, answered, why = budget.spent_s, set[str](), "it ended without a result"
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
    """The row of a case without a result."""
    return {"kind": kind, "title": title, **({"side": task.side} if task.side else {}), "note": why}
