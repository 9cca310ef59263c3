"""Time the stages of a call through the observers of sessions, CLIP models and frame uploads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fastsam_engine.run_observers import ObservedRun, RunObserver

Shapes = dict[str, tuple[int, ...]]
"""Input name to shape."""


class Observable(Protocol):
    """Anything that reports its runs: a session, a CLIP model, the uploads of frames."""

    def observe(self, observer: RunObserver) -> Callable[[], None]:
        """Report every run from now on to a function."""


class StageClock:
    """Times and input shapes of the observed stages.

    Attributes:
        spent: Stage to the duration of each run since the last `clear`, ms, in order.
        shapes: Stage to the input shapes of each run.
    """

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}
        self.shapes: dict[str, list[Shapes]] = {}

    def observe(self, observable: Observable, stage: str) -> None:
        """Time every run from now on, as a stage."""

        def record(run: ObservedRun) -> None:
            self.shapes.setdefault(stage, []).append(run.shapes)
            self.spent.setdefault(stage, []).append(run.duration_ms)

        observable.observe(record)

    def clear(self) -> None:
        """Forget the recorded runs."""
        self.spent.clear()
        self.shapes.clear()

    def total(self, stage: str) -> float:
        """The duration of all runs of a stage since the last `clear`, ms."""
        return sum(self.spent.get(stage, ()))
