"""Q and DQ nodes in an fp32 graph: ONNX Runtime's own quantizer, told what to leave in floating point.

Weights are int8, symmetric, one scale a channel; activations uint8 with a zero point, one scale a tensor: SiLU and GELU
reach far above zero and hardly below, and symmetric ranges would spend half of their steps on nothing. The quantised
pairs stand at the inputs of convolutions and products and not at their outputs, which lets the activation that follows
be computed in floating point within the same kernel. Concatenations and additions between them take and give what is
quantised already.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fastsam_engine.session import Array
from fastsam_export.errors import ExportError, NotFiniteError

if TYPE_CHECKING:
    import onnx

METADATA_KEY = "fastsam_trt.int8"
"""Under it the ONNX file says what was left in floating point by measurement, as JSON."""

_LAST_OPSET = 20  # ONNX Runtime has static int8 for no later one
_INDEXED = re.compile(r"\.\d+$")


@dataclass(frozen=True, slots=True)
class Quantised:
    """The operators of a scheme.

    Attributes:
        weighted: Those whose work int8 makes faster.
        between: Those that may hand on what is quantised.
    """

    weighted: tuple[str, ...]
    between: tuple[str, ...] = ()


CONVOLUTIONS = Quantised(("Conv",), ("Add", "Concat", "MaxPool", "Resize", "Split"))
PRODUCTS = Quantised(("Gemm", "MatMul"))


class Int8Graph:
    """A graph in fp32 with the ranges of its activations: it writes versions of itself in int8."""

    def __init__(self, path: Path, quantised: Quantised, inputs: Iterable[Mapping[str, Array]]) -> None:
        """Measure the ranges.

        Args:
            path: The graph in fp32.
            quantised: Operators to quantise.
            inputs: What to calibrate on.

        Raises:
            ExportError: The graph can't be quantised.
            NotFiniteError: Calibration gave NaN or infinite numbers.
        """
        import onnx

        self._model = onnx.load(str(path))
        self._quantised = quantised
        opset = next(each.version for each in self._model.opset_import if each.domain in ("", "ai.onnx"))
        if opset > _LAST_OPSET:
            raise ExportError(f"int8: expected a graph of opset {_LAST_OPSET} or earlier, found {opset}")
        for index, node in enumerate(self._model.graph.node):
            node.name = node.name or f"{node.op_type}_{index}"
        self._weighted = _weighted(self._model.graph, quantised)
        if not self._weighted:
            raise ExportError(
                f"int8: expected {' or '.join(quantised.weighted)} with weights, found none in {path.name}"
            )
        self._tail = _tail(self._model.graph, set(self._weighted))
        self._ranges = _ranges(path, quantised, inputs)

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the modules with something to quantise, in order; the last, a head, by its parts."""
        head = _module(self._weighted[-1], 1)
        own = ((name, _module(name, 1)) for name in self._weighted)
        return tuple(dict.fromkeys(_module(name, 2) if module == head else module for name, module in own))

    def write(self, path: Path, left_out: Sequence[str] = (), only: Sequence[str] = ()) -> None:
        """Write the graph in int8.

        Args:
            path: Where to.
            left_out: Modules that stay in floating point.
            only: Modules to quantise and no others; none given: all.
        """
        import onnx
        from onnxruntime.quantization import QDQQuantizer, QuantType

        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        names = [node.name for node in model.graph.node]
        outside = [name for name in names if _within(name, left_out) or (only and not _within(name, only))]
        weighted = list(self._quantised.weighted)
        quantizer = QDQQuantizer(
            model,
            True,  # per channel
            False,  # 8 bits of weights in full: processors without VNNI may saturate, others need no less
            QuantType.QInt8,
            QuantType.QUInt8,
            self._ranges,
            [],
            [*self._tail, *outside],
            [*weighted, *self._quantised.between],
            {"MatMulConstBOnly": True, "OpTypesToExcludeOutputQuantization": weighted, "QuantizeBias": False},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        made = quantizer.model.model
        said = {entry.key: entry.value for entry in made.metadata_props}
        said[METADATA_KEY] = json.dumps({"left_out": list(left_out), "weights": "int8", "activations": "uint8"})
        onnx.helper.set_model_props(made, said)
        onnx.save(made, str(path))


class _Reader:
    """Inputs one by one, as ONNX Runtime's calibrator asks for them."""

    def __init__(self, inputs: Iterable[Mapping[str, Array]]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> dict[str, Array] | None:
        given = next(self._inputs, None)
        return None if given is None else dict(given)


def _ranges(path: Path, quantised: Quantised, inputs: Iterable[Mapping[str, Array]]) -> Any:
    """Smallest and largest value of each activation."""
    from onnxruntime.quantization import CalibrationMethod, create_calibrator

    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(
            str(path),
            [*quantised.weighted, *quantised.between],
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=CalibrationMethod.MinMax,
        )
        calibrator.collect_data(cast("Any", _Reader(inputs)))
        ranges = calibrator.compute_data()
    for name, each in ranges.data.items():
        if wrong := int((~np.isfinite(each.range_value)).sum()):
            raise NotFiniteError(path.name, name, wrong, "the calibration pictures")
    return ranges


def _weighted(graph: onnx.GraphProto, quantised: Quantised) -> list[str]:
    """Nodes of the scheme that take weights, less DFL's convolution: it takes the mean of a distribution over sides.

    That is arithmetic written as a convolution, on the output of a softmax, where steps of 1/255 move boxes.
    """
    stored = {each.name for each in graph.initializer}
    sure = {name for node in graph.node if node.op_type == "Softmax" for name in node.output}
    return [
        node.name
        for node in graph.node
        if node.op_type in quantised.weighted and stored.intersection(node.input) and node.input[0] not in sure
    ]


def _tail(graph: onnx.GraphProto, weighted: set[str]) -> list[str]:
    """Nodes after which none is quantised: boxes, sigmoid, what joins the outputs. It is cheap, and int8 moves boxes.

    An output in 256 steps would put the sides of a box on a grid of pixels.
    """
    leads: set[str] = set()  # tensors that reach a weighted node
    tail = []
    for node in reversed(graph.node):
        if node.name in weighted or leads.intersection(node.output):
            leads.update(node.input)
        else:
            tail.append(node.name)
    return tail


def _within(name: str, modules: Sequence[str]) -> bool:
    """Whether a node belongs to one of some modules."""
    return name.startswith(tuple(module + end for module in modules for end in "/."))


def _module(name: str, depth: int) -> str:
    """The module of a node by its name: up to its first part that is numbered, or with the next, less its number."""
    parts = name.split("/")
    first = next((i for i, part in enumerate(parts) if _INDEXED.search(part)), max(len(parts) - 2, 0))
    if depth == 1 or len(parts) <= first + 2:
        return "/".join(parts[: first + 1])
    return "/".join([*parts[: first + 1], _INDEXED.sub("", parts[first + 1])])
