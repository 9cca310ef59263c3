"""Compare made-up answers of a plan with its graph, on the sample inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime

from fastsam_engine import open_session, read_spec
from fastsam_engine.backends.tensorrt.plan_check.accuracy_check import check_accuracy
from fastsam_engine.backends.tensorrt.plan_check.sample_inputs import sample_inputs
from fastsam_engine.plans.shape_ranges import shape_ranges
from fastsam_engine.spec.model_spec import ModelSpec
from support.rounded_graphs import Rounding, save_rounded

_BATCHES = {"segment": (1, 2), "embed-image": (4, 8), "embed-text": (4, 8)}
Answer = dict[str, np.ndarray]


class Recorded:
    """A session whose answers are known: those to the sample inputs, in order, again and again."""

    backend = "onnxruntime"

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = answers
        self._next = 0

    def run(self, inputs: Any) -> Answer:
        self._next += 1
        return dict(self._answers[(self._next - 1) % len(self._answers)])


class Case:
    """A graph with its ranges, the sample inputs and the reference's answers to them."""

    def __init__(self, graph: Path, imgsz: tuple[int, int] | None = None) -> None:
        self.graph = graph
        self.spec = read_spec(graph)
        fixed = getattr(self.spec.input, "size_multiple", None) is None
        self.ranges = shape_ranges(self.spec, batch=_BATCHES.get(self.spec.task), imgsz=None if fixed else imgsz)
        self.inputs = list(sample_inputs(self.spec, self.ranges, tokens=50))
        session = open_session(graph, "onnxruntime", "cpu")
        self.expected = [session.run(each) for each in self.inputs]

    def check(self, found: Sequence[Answer], *, precision: str = "", spec: ModelSpec | None = None) -> dict[str, float]:
        """The metrics of a plan that answers so."""
        spec = spec or self.spec
        if precision:
            spec = dataclasses.replace(spec, precision=cast("Any", precision))
        return check_accuracy(self.graph, spec, Recorded(found), Recorded(self.expected), self.ranges)  # type: ignore[arg-type]

    def rounded(self, folder: Path, rounding: Rounding) -> list[Answer]:
        """The answers of a plan that rounds as a device does."""
        path = save_rounded(self.graph, folder / self.graph.name, rounding)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_outputs()]
        wide = [
            {name: each.astype(np.float32) if each.dtype == np.float16 else each for name, each in inputs.items()}
            for inputs in self.inputs
        ]
        return [dict(zip(names, session.run(names, each), strict=True)) for each in wide]

    def harmed(self, output: str, harm: Any) -> list[Answer]:
        return [{**each, output: harm(each[output], self.spec)} for each in self.expected]
