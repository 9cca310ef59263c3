"""Q and DQ nodes in an fp32 graph: ONNX Runtime's own quantizer, told what to leave in floating point.

Weights are int8, symmetric, one scale a channel; activations uint8 with a zero point, one scale a tensor: SiLU and GELU
reach far above zero and hardly below, and symmetric ranges would spend half of their steps on nothing. The quantised
pairs stand at the inputs of convolutions and products and not at their outputs, which lets the activation that follows
be computed in floating point within the same kernel. What lies between, additions and concatenations, stays in floating
point: that costs little time, and rounding it costs detections. ONNX Runtime computes convolutions in int8 only where
their outputs are quantised as well, ahead of the activation, which costs more detections than it may.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Array
from fastsam_export.errors import ExportError, NotFiniteError
from fastsam_export.int8.bias_correction import lost_means
from fastsam_export.int8.weight_scales import LARGEST, weight_scales

if TYPE_CHECKING:
    import onnx

METADATA_KEY = "fastsam_trt.int8"
"""Under it the ONNX file says what was left in floating point by measurement, as JSON."""

_LAST_OPSET = 20  # ONNX Runtime has static int8 for no later one
_INDEXED = re.compile(r"\.\d+$")


CONVOLUTIONS = ("Conv",)
PRODUCTS = ("Gemm", "MatMul")


class Int8Graph:
    """A graph in fp32 with the ranges of its activations: it writes versions of itself in int8."""

    def __init__(self, path: Path, operators: Sequence[str], inputs: Sequence[Mapping[str, Array]]) -> None:
        """Measure the ranges, and what the biases of convolutions are to make good.

        Args:
            path: The graph in fp32.
            operators: Those to quantise.
            inputs: What to calibrate on.

        Raises:
            ExportError: The graph can't be quantised.
            NotFiniteError: Calibration gave NaN or infinite numbers.
        """
        import onnx

        self._model = onnx.load(str(path))
        self._operators = list(operators)
        opset = next(each.version for each in self._model.opset_import if each.domain in ("", "ai.onnx"))
        if opset > _LAST_OPSET:
            raise ExportError(f"int8: expected a graph of opset {_LAST_OPSET} or earlier, found {opset}")
        for index, node in enumerate(self._model.graph.node):
            node.name = node.name or f"{node.op_type}_{index}"
        self._weighted = _weighted(self._model.graph, operators)
        if not self._weighted:
            raise ExportError(f"int8: expected {' or '.join(operators)} with weights, found none in {path.name}")
        self._tail = _tail(self._model.graph, set(self._weighted))
        self._ranges = _ranges(path, operators, inputs)
        self._weights = _weight_ranges(self._model.graph, set(self._weighted))
        self._biases: dict[str, NDArray[np.float32]] = {}
        self._biases = lost_means(self._model, self._made([], []), inputs)

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

        made = self._made(left_out, only)
        said = {entry.key: entry.value for entry in made.metadata_props}
        said[METADATA_KEY] = json.dumps({"left_out": list(left_out), "weights": "int8", "activations": "uint8"})
        onnx.helper.set_model_props(made, said)
        onnx.save(made, str(path))

    def _made(self, left_out: Sequence[str], only: Sequence[str]) -> onnx.ModelProto:
        import onnx
        from onnxruntime.quantization import QDQQuantizer, QuantType

        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        names = [node.name for node in model.graph.node]
        outside = {name for name in names if _within(name, left_out) or (only and not _within(name, only))}
        _correct(model.graph, {name: lost for name, lost in self._biases.items() if name not in outside})
        quantizer = QDQQuantizer(
            model,
            True,  # per channel
            False,  # 8 bits of weights in full: processors without VNNI may saturate, others need no less
            QuantType.QInt8,
            QuantType.QUInt8,
            self._ranges,
            [],
            [*self._tail, *outside],
            self._operators,
            {
                "MatMulConstBOnly": True,
                "OpTypesToExcludeOutputQuantization": self._operators,
                "QuantizeBias": False,
                "TensorQuantOverrides": self._weights,
            },
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        made: onnx.ModelProto = quantizer.model.model
        _spare(made.graph, set(self._weighted) - outside)
        return made


class _Reader:
    """Inputs one by one, as ONNX Runtime's calibrator asks for them."""

    def __init__(self, inputs: Sequence[Mapping[str, Array]]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> dict[str, Array] | None:
        given = next(self._inputs, None)
        return None if given is None else dict(given)


def _ranges(path: Path, operators: Sequence[str], inputs: Sequence[Mapping[str, Array]]) -> Any:
    """Smallest and largest value of each activation."""
    from onnxruntime.quantization import CalibrationMethod, create_calibrator

    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(
            str(path),
            list(operators),
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=CalibrationMethod.MinMax,
        )
        calibrator.collect_data(cast("Any", _Reader(inputs)))
        ranges = calibrator.compute_data()
    for name, each in ranges.data.items():
        if wrong := int((~np.isfinite(each.range_value)).sum()):
            raise NotFiniteError(path.name, name, wrong, "the calibration pictures")
    return ranges


def _weighted(graph: onnx.GraphProto, operators: Sequence[str]) -> list[str]:
    """Nodes that take weights, less DFL's convolution: it takes the mean of a distribution over sides.

    That is arithmetic written as a convolution, on the output of a softmax, where steps of 1/255 move boxes.
    """
    stored = {each.name for each in graph.initializer}
    sure = {name for node in graph.node if node.op_type == "Softmax" for name in node.output}
    return [
        node.name
        for node in graph.node
        if node.op_type in operators and stored.intersection(node.input) and node.input[0] not in sure
    ]


def _weight_ranges(graph: onnx.GraphProto, weighted: set[str]) -> dict[str, list[dict[str, Any]]]:
    """The ranges of convolutions' weights, as ONNX Runtime's quantizer takes them: for each channel in turn."""
    from onnx import numpy_helper
    from onnxruntime.quantization import QuantType

    stored = {each.name: each for each in graph.initializer}
    names = {node.input[1] for node in graph.node if node.op_type == "Conv" and node.name in weighted}
    result = {}
    for name in sorted(names & stored.keys()):
        ranges = np.float32(LARGEST) * weight_scales(numpy_helper.to_array(stored[name]))
        same = {"quant_type": QuantType.QInt8, "symmetric": True, "axis": 0}
        result[name] = [{**same, "rmin": -each, "rmax": each} for each in ranges]
    return result


def _correct(graph: onnx.GraphProto, lost: Mapping[str, NDArray[np.float32]]) -> None:
    """Add what convolutions lose of their mean outputs to their biases."""
    from onnx import numpy_helper

    stored = {each.name: each for each in graph.initializer}
    for node in graph.node:
        if node.name not in lost:
            continue
        if len(node.input) < 3:  # it has no bias yet
            node.input.append("")
        bias = stored.get(node.input[2])
        if node.input[2] and bias is None:  # computed by other nodes
            continue
        before = np.float32(0) if bias is None else numpy_helper.to_array(bias)
        node.input[2] = f"{node.name}/corrected_bias"
        graph.initializer.append(numpy_helper.from_array(before + lost[node.name], node.input[2]))


def _spare(graph: onnx.GraphProto, quantised: set[str]) -> None:
    """Let all nodes that are not quantised take what was not rounded, where the quantizer lets them share."""
    made = {name: node for node in graph.node for name in node.output}
    sources = {}
    for node in graph.node:
        before = made.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if before is not None and before.op_type == "QuantizeLinear":
            sources[node.output[0]] = before.input[0]
    for node in graph.node:
        if node.name not in quantised:
            for index, name in enumerate(node.input):
                node.input[index] = sources.get(name, name)


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
