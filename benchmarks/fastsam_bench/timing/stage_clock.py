"""Time the single stages of a call, such as a session's runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fastsam_engine import Session
from fastsam_engine.run_observers import ObservedRun

Shapes = dict[str, tuple[int, ...]]


class StageClock:
    """Times of the stages it watches.

    Attributes:
        spent: Stage to the ms of each of its calls since the last `clear`, in order.
        shapes: Stage to the input shapes of each run, for stages that are sessions.
    """

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}
        self.shapes: dict[str, list[Shapes]] = {}

    def observe(self, session: Session, stage: str) -> None:
        """Time every run of a session from now on, as a stage."""

        def record(run: ObservedRun) -> None:
            self.shapes.setdefault(stage, []).append(run.shapes)
            self.spent.setdefault(stage, []).append(run.duration_ms)

        session.observe(record)

    def watch(self, owner: object, method: str, stage: str) -> None:
        """Time a method of an object from now on, as a stage."""
        inner: Callable[..., Any] = getattr(owner, method)

        def timed(*given: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return inner(*given, **named)
            finally:
                self.spent.setdefault(stage, []).append((time.perf_counter() - start) * 1e3)

        setattr(owner, method, timed)

    def clear(self) -> None:
        """Forget what was timed."""
        self.spent.clear()
        self.shapes.clear()

    def total(self, stage: str) -> float:
        """All calls of a stage since the last `clear`, ms."""
        return sum(self.spent.get(stage, ()))
