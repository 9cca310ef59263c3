"""The base class of scenarios, and the scenario of a case."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fastsam_bench.cases.case import CellCase
from fastsam_bench.cases.opened_model import OpenedModel
from fastsam_bench.timing.blocks import Block, Times, WarmUp, time_block, warm_up
from fastsam_bench.timing.stage_clock import Shapes

_LOOKED_AT = 4
_SCENARIOS: dict[str, type[Scenario]] = {}

S = TypeVar("S", bound="Scenario")


class Scenario(ABC):
    """A cell that is measured block by block. Between blocks the model may be used for other cells.

    Attributes:
        case, opened: The case, and its open model.
        frames: The frames to measure on.
        segments: Number of decoded segments of each frame.
        shapes: Stage to the input shapes of each run of its network in one call.
        note: What was changed to make the measurement possible; None: nothing.
        expected_ms: Time of a call, from the warm-up.
    """

    def __init__(self, case: CellCase, opened: OpenedModel) -> None:
        self.case = case
        self.opened = opened
        self.frames = case.frames()
        self.segments: list[int] = []
        self.shapes: dict[str, list[Shapes]] = {}
        self.note: str | None = None
        self.expected_ms = 0.0
        self._conf: float | None = None

    def enter(self) -> None:
        """Set the model up for this cell."""
        if self.case.crops and self._conf is None:
            self._conf = self.opened.conf_for_crops(self._some_frames())
            if self._conf < self.opened.usual_conf:
                self.note = f"threshold lowered to {self._conf:g}, since a frame had no segment to crop"
        self.opened.use(self.case.crops, self._conf)

    def warm_up(self, limit_s: float) -> WarmUp:
        """Make calls until their times are steady, or the time limit is reached."""
        warm = warm_up(self.call, limit_s)
        self.expected_ms = warm.last_ms
        return warm

    def block(self, seconds: float) -> Block:
        """Time calls for a number of seconds."""
        return time_block(self.call, seconds, self.expected_ms, self.case.batch)

    @abstractmethod
    def call(self) -> Times:
        """Do the work once; returns its times."""

    def close(self) -> None:
        """Close the file of the frames."""
        self.frames.close()

    def _some_frames(self) -> Iterator[NDArray[np.uint8]]:
        for _ in range(_LOOKED_AT):
            self.frames.prepare()
            yield self.frames.capture()

    def keep_shapes(self) -> None:
        """Keep the input shapes of the networks since the clock was cleared."""
        self.shapes = {stage: list(shapes) for stage, shapes in self.opened.clock.shapes.items()}


def register(name: str) -> Callable[[type[S]], type[S]]:
    """Class decorator that makes a scenario known by its name."""

    def add(scenario: type[S]) -> type[S]:
        _SCENARIOS[name] = scenario
        return scenario

    return add


def make_scenario(case: CellCase, opened: OpenedModel) -> Scenario:
    """The scenario of a case, on an open model."""
    return _SCENARIOS[case.scenario](case, opened)
