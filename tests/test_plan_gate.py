"""What a plan is compared with its graph by: honest rounding passes, what a user would see does not."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from fastsam_engine import open_session, read_spec
from fastsam_engine.errors import BuildError
from fastsam_engine.model_spec import ModelSpec
from fastsam_engine.tensorrt.checking import check
from fastsam_engine.tensorrt.output_bounds import BOUNDS
from fastsam_engine.tensorrt.profiles import shape_ranges
from fastsam_engine.tensorrt.sample_inputs import sample_inputs
from output_faults import ANY, FAULTS
from rounded_graphs import Rounding, save_rounded

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
            spec = dataclasses.replace(spec, precision=precision)
        return check(self.graph, spec, Recorded(found), Recorded(self.expected), self.ranges)  # type: ignore[arg-type]

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


_SMALL = (
    "demo-seg/demo-seg", "demo-clip/demo-clip.image", "demo-clip/demo-clip.text", "yolo26/yolo26",
    "segformer/segformer", "mask2former/mask2former", "detr/detr", "detr/detr.masks",
)  # fmt: skip
_HELPERS = (
    "demo-seg/demo-seg.preprocess", "demo-seg/demo-seg.decode", "segformer/segformer.preprocess",
    "demo-clip/demo-clip.crops",
)  # fmt: skip
_IMGSZ = (160, 192)


@functools.cache
def _case(graph: Path, imgsz: tuple[int, int] | None = None) -> Case:
    return Case(graph, imgsz)


def _small(folders: Mapping[str, Path], name: str) -> Case:
    model, _, stem = name.partition("/")
    return _case(folders[model] / f"{stem}.onnx", _IMGSZ)


def _accepted(case: Case, precision: str = "") -> list[str]:
    """The faults of the outputs, one by one, that the gate lets pass, which should be none."""
    passed = []
    for output in case.spec.outputs:
        for name, harm in {**FAULTS[output.meaning], **ANY}.items():
            with contextlib.suppress(BuildError):
                case.check(case.harmed(output.name, harm), precision=precision)
                passed.append(f"{output.name}: {name}")
    return passed


# Every family


@pytest.mark.parametrize("name", [*_SMALL, *_HELPERS])
def test_what_a_user_would_see_is_refused(fp32: dict[str, Path], name: str) -> None:
    assert not _accepted(_small(fp32, name))


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
@pytest.mark.parametrize("name", _SMALL)
def test_what_a_user_would_see_is_refused_in_less_precision(fp32: dict[str, Path], name: str, precision: str) -> None:
    assert not _accepted(_small(fp32, name), precision)


@pytest.mark.parametrize("rounding", ["tf32", "bf16"])
@pytest.mark.parametrize("name", _SMALL)
def test_rounding_of_factors_passes(fp32: dict[str, Path], name: str, rounding: Rounding, tmp_path: Path) -> None:
    case = _small(fp32, name)
    found = case.rounded(tmp_path, rounding)
    metrics = case.check(found, precision="fp32" if rounding == "tf32" else "bf16")
    assert max(metrics.values()) > 0
    assert {each.rpartition(" ")[2] for each in metrics} <= BOUNDS.keys()


@pytest.mark.parametrize("name", _SMALL)
def test_rounding_of_half_precision_passes(fp16: dict[str, Path], name: str, tmp_path: Path) -> None:
    case = _small(fp16, name)
    assert max(case.check(case.rounded(tmp_path, "fp16")).values()) > 0


@pytest.mark.parametrize("name", _HELPERS)
def test_helper_graphs_pass_on_another_backend(fp32: dict[str, Path], name: str) -> None:
    pytest.importorskip("openvino")
    case = _small(fp32, name)
    session = open_session(case.graph, "openvino", "cpu", "fp32")
    case.check([session.run(each) for each in case.inputs])
