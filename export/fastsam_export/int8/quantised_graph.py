"""Write a graph in int8, as Q/DQ pairs, by ONNX Runtime's quantizer, with chosen modules in floating point.

- Weights are int8, symmetric, with one scale per channel.
- Activations are uint8 with a zero point and one scale per tensor: SiLU and GELU reach far above zero and hardly below
  it, so symmetric ranges would waste half of their steps.
- Q/DQ pairs are at the inputs of convolutions and matrix products, not at their outputs. The activation that follows
  can then be computed in floating point within the same kernel.
- Everything in between, such as additions and concatenations, stays in floating point: this costs little time, and
  rounding it costs detections.
- ONNX Runtime computes a convolution in int8 only if its output is quantised too, before the activation. That costs
  more detections than the bounds allow.
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
"""Metadata key of the ONNX file: the modules that measurement left in floating point, as JSON."""

_LAST_OPSET = 20  # the last opset that ONNX Runtime's static quantisation supports
_INDEXED = re.compile(r"\.\d+$")


CONVOLUTIONS = ("Conv",)
PRODUCTS = ("Gemm", "MatMul")


class Int8Graph:
    """An fp32 graph and the ranges of its activations; `write` writes it in int8."""

    def __init__(self, path: Path, operators: Sequence[str], inputs: Sequence[Mapping[str, Array]]) -> None:
        """Measure the ranges of activations, and the corrections of biases.

        Args:
            path: The graph in fp32.
            operators: Operators to quantise.
            inputs: Calibration inputs.

        Raises:
            ExportError: The graph can't be quantised.
            NotFiniteError: Calibration produced NaN or infinite numbers.
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
        """Names of the modules that can be quantised, in order. The last one, the head, is split into its parts."""
        head = _module(self._weighted[-1], 1)
        own = ((name, _module(name, 1)) for name in self._weighted)
        return tuple(dict.fromkeys(_module(name, 2) if module == head else module for name, module in own))

    def write(self, path: Path, left_out: Sequence[str] = (), only: Sequence[str] = ()) -> None:
        """Write the graph in int8.

        Args:
            path: File to write.
            left_out: Modules that stay in floating point.
            only: The only modules to quantise; empty: all.
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
            False,  # use all 8 bits of weights: only CPUs without VNNI may saturate
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
        _unshare(made.graph, set(self._weighted) - outside)
        return made


class _Reader:
    """Calibration inputs one by one, in the interface of ONNX Runtime's calibrator."""

    def __init__(self, inputs: Sequence[Mapping[str, Array]]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> dict[str, Array] | None:
        given = next(self._inputs, None)
        return None if given is None else dict(given)


def _ranges(path: Path, operators: Sequence[str], inputs: Sequence[Mapping[str, Array]]) -> Any:
    """The smallest and largest value of each activation."""
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
    """Names of the nodes with weights, except DFL's convolution.

    DFL computes the mean of a distribution, from the output of a softmax. It is arithmetic that is written as a
    convolution, and steps of 1/255 would move boxes.
    """
    stored = {each.name for each in graph.initializer}
    sure = {name for node in graph.node if node.op_type == "Softmax" for name in node.output}
    return [
        node.name
        for node in graph.node
        if node.op_type in operators and stored.intersection(node.input) and node.input[0] not in sure
    ]


def _weight_ranges(graph: onnx.GraphProto, weighted: set[str]) -> dict[str, list[dict[str, Any]]]:
    """The ranges of the weights of convolutions per channel, in the format of ONNX Runtime's quantizer."""
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
    """Add the loss of mean output to the bias of each convolution."""
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


def _unshare(graph: onnx.GraphProto, quantised: set[str]) -> None:
    """Connect nodes that are not quantised to tensors before rounding; the quantizer shares the rounded ones."""
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
    """Names of the nodes after the last quantised one: boxes, sigmoids, concatenations of outputs.

    They are cheap, and int8 would move boxes: 256 steps put the sides of a box on a coarse grid of pixels.
    """
    leads: set[str] = set()  # tensors from which a quantised node is computed
    tail = []
    for node in reversed(graph.node):
        if node.name in weighted or leads.intersection(node.output):
            leads.update(node.input)
        else:
            tail.append(node.name)
    return tail


def _within(name: str, modules: Sequence[str]) -> bool:
    """Whether a node belongs to one of the modules."""
    return name.startswith(tuple(module + end for module in modules for end in "/."))


def _module(name: str, depth: int) -> str:
    """The module of a node, from its name: up to the first numbered part; at depth 2 also the next, without number."""
    parts = name.split("/")
    first = next((i for i, part in enumerate(parts) if _INDEXED.search(part)), max(len(parts) - 2, 0))
    if depth == 1 or len(parts) <= first + 2:
        return "/".join(parts[: first + 1])
    return "/".join([*parts[: first + 1], _INDEXED.sub("", parts[first + 1])])
