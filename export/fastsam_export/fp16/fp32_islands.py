"""Choose the nodes of a graph that stay in fp32 when the others become fp16, by their type and by measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsam_export.errors import ExportError

if TYPE_CHECKING:
    import onnx

LARGEST = 1e4
"""Largest magnitude allowed in fp16. fp16 ends at 65504, which leaves room for pictures that were not measured."""
_SMALLEST = 6.2e-5  # smaller numbers lose digits in fp16: an epsilon changes, or becomes zero
_CONSTANT = 1024  # elements; computing with constants up to this size is cheap, and stays in fp32
_BINS = 64  # weights; a convolution with no more than these is arithmetic (YOLO's box from its bins), not a layer

_NORMALISATIONS = {
    "LayerNormalization", "GroupNormalization", "InstanceNormalization", "LpNormalization", "RMSNormalization",
    "BatchNormalization", "MeanVarianceNormalization", "LRN",
}  # fmt: skip
_CHAINS = {
    "ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceProd", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceMax", "ReduceMin", "Pow", "Sqrt", "Exp", "Log", "Reciprocal", "CumSum", "GridSample",
}  # fmt: skip
_FP32_OPS = _NORMALISATIONS | _CHAINS | {
    "Softmax", "LogSoftmax", "Softplus", "TopK", "NonMaxSuppression", "RoiAlign", "Range", "Cast", "CastLike",
    "ConstantOfShape", "EyeLike", "OneHot", "Mod", "Sin", "Cos", "GlobalAveragePool", "GlobalLpPool",
    "QuantizeLinear", "DequantizeLinear", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
}  # fmt: skip
_POINTWISE = {
    "Add", "Sub", "Mul", "Div", "Neg", "Abs", "Sigmoid", "Tanh", "Relu", "Clip", "Min", "Max", "Where", "Erf", "Floor",
    "Ceil", "Round", "Sum", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "Concat",
    "Expand", "Tile", "Identity", "Gather", "GatherElements", "GatherND", "Pad", "Cast",
}  # fmt: skip
_TAIL = _POINTWISE | (_CHAINS - {"GridSample"}) | {"TopK", "ArgMax", "ArgMin", "Range", "ConstantOfShape"}


def peaks(model: onnx.ModelProto, feeds: Iterable[Mapping[str, NDArray[Any]]]) -> dict[str, float]:
    """Largest magnitude of each float tensor of a graph over some inputs, measured by ONNX Runtime on the CPU.

    It is infinite if a number was infinite or NaN. The graph itself reduces its tensors, so its outputs are scalars.
    """
    import onnx
    import onnxruntime

    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    graph = probed.graph
    watched = [name for name, kind in float_types(model).items() if kind == onnx.TensorProto.FLOAT]
    stored = {each.name for each in graph.initializer}
    watched = [name for name in watched if name not in stored]
    del graph.output[:]
    for i, name in enumerate(watched):
        graph.node.append(onnx.helper.make_node("Abs", [name], [f"peak_{i}_abs"]))
        graph.node.append(onnx.helper.make_node("ReduceMax", [f"peak_{i}_abs"], [f"peak_{i}"], keepdims=0))
        graph.output.append(onnx.helper.make_tensor_value_info(f"peak_{i}", onnx.TensorProto.FLOAT, []))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(probed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    worst = np.zeros(len(watched))
    for feed in feeds:
        found = np.array([float(each) for each in session.run(None, dict(feed))])
        worst = np.maximum(worst, np.where(np.isfinite(found), found, np.inf))
    return dict(zip(watched, worst.tolist(), strict=True))


def float_types(model: onnx.ModelProto) -> dict[str, int]:
    """Infer the element type of every tensor of a graph.

    Raises:
        ExportError: The type of a tensor is unknown.
    """
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {each.name: each.data_type for each in graph.initializer}
    for each in (*graph.input, *graph.value_info, *graph.output):
        types[each.name] = each.type.tensor_type.elem_type
    for node in graph.node:
        for name in node.output:
            if name and not types.get(name):
                raise ExportError(f"fp16: expected a graph of known types, found none for {name} ({node.op_type})")
    return types


def islands(model: onnx.ModelProto, magnitudes: Mapping[str, float]) -> set[int]:
    """Indices of the nodes that stay in fp32.

    These nodes are:

    - by type: reductions, normalisations, softmaxes and powers, and pointwise nodes between two of them (a layer
      normalisation that is written out as several nodes);
    - by measurement: nodes with inputs or outputs beyond the safe range of fp16;
    - nodes that depend on sizes and constants only (anchors, positions);
    - nodes between the last weights and an output or a sampling grid: coordinates of hundreds of pixels need more
      digits than fp16 has.

    Args:
        model: A graph whose constants are all initializers.
        magnitudes: Largest magnitude of each float tensor by name, from `peaks`.
    """
    import onnx

    nodes = list(model.graph.node)
    stored = {each.name: each for each in model.graph.initializer}
    floats = {name for name, each in stored.items() if each.data_type == onnx.TensorProto.FLOAT}
    known = {name: _magnitude(onnx.numpy_helper.to_array(stored[name])) for name in floats}
    walk = _Walk(nodes)
    kept = {i for i, node in enumerate(nodes) if node.op_type in _FP32_OPS}
    for i, node in enumerate(nodes):
        for name in (*node.input, *node.output):
            high = magnitudes.get(name, known.get(name, 0.0))
            if not high <= LARGEST or (name in known and 0 < high < _SMALLEST):
                kept.add(i)
    small = {name for name, each in stored.items() if name not in floats or _elements(each) <= _CONSTANT}
    fixed = set(small)
    for i, node in enumerate(nodes):
        if node.op_type in ("Shape", "Size") or all(name in fixed for name in node.input if name):
            fixed.update(node.output)
            kept.add(i)

    def is_tail(i: int) -> bool:
        node = nodes[i]
        bins = node.op_type == "Conv" and node.input[1] in floats and _elements(stored[node.input[1]]) <= _BINS
        return bins or node.op_type in _TAIL

    for output in model.graph.output:
        kept |= walk.back([output.name], is_tail)
    for node in nodes:
        if node.op_type == "GridSample":
            kept |= walk.back([node.input[1]], is_tail)
    joins = [i for i, node in enumerate(nodes) if node.op_type in _CHAINS]

    def is_pointwise(i: int) -> bool:
        return nodes[i].op_type in _POINTWISE

    ahead = walk.forth([name for i in joins for name in nodes[i].output], is_pointwise)
    behind = walk.back([name for i in joins for name in nodes[i].input], is_pointwise)
    kept |= ahead & behind
    for i, node in enumerate(nodes):  # a division by the result of a reduction
        if node.op_type == "Div" and walk.maker.get(node.input[1]) in kept:
            kept.add(i)
    return kept


class _Walk:
    """Walks along the edges of a graph."""

    def __init__(self, nodes: list[onnx.NodeProto]) -> None:
        self._nodes = nodes
        self.maker = {name: i for i, node in enumerate(nodes) for name in node.output if name}
        self._takers: dict[str, list[int]] = {}
        for i, node in enumerate(nodes):
            for name in node.input:
                self._takers.setdefault(name, []).append(i)

    def back(self, names: Iterable[str], passes: Callable[[int], bool]) -> set[int]:
        """The nodes from which tensors are computed, as far as an unbroken chain of passing nodes reaches."""
        found: set[int] = set()
        waiting = [name for name in names if name in self.maker]
        while waiting:
            i = self.maker[waiting.pop()]
            if i not in found and passes(i):
                found.add(i)
                waiting += [name for name in self._nodes[i].input if name in self.maker]
        return found

    def forth(self, names: Iterable[str], passes: Callable[[int], bool]) -> set[int]:
        """The nodes that are computed from tensors, as far as an unbroken chain of passing nodes reaches."""
        found: set[int] = set()
        waiting = [i for name in names for i in self._takers.get(name, [])]
        while waiting:
            i = waiting.pop()
            if i not in found and passes(i):
                found.add(i)
                waiting += [taker for name in self._nodes[i].output for taker in self._takers.get(name, [])]
        return found


def _magnitude(array: NDArray[np.float32]) -> float:
    return float(np.abs(array).max(initial=0.0))


def _elements(tensor: onnx.TensorProto) -> int:
    return int(np.prod(tensor.dims, dtype=np.int64))
