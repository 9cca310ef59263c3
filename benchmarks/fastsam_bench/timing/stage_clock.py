"""StageClock: what single stages of a call take, watched where they are done, with the code that runs as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

Shapes = dict[str, tuple[int, ...]]


class StageClock:
    """Stands in for methods of open objects and times them.

    Attributes:
        spent: Stage to ms of each call of its method since the last `clear`, in order.
        shapes: Stage to the shapes of the arrays that each call was given, where these are named arrays.
    """

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}
        self.shapes: dict[str, list[Shapes]] = {}

    def watch(self, owner: object, method: str, stage: str) -> None:
        """Time a method of an object from now on, as a stage."""
        inner: Callable[..., Any] = getattr(owner, method)

        def timed(*given: Any, **named: Any) -> Any:
            if given and isinstance(given[0], Mapping):
                shapes = {name: tuple(array.shape) for name, array in given[0].items()}
                self.shapes.setdefault(stage, []).append(shapes)
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
