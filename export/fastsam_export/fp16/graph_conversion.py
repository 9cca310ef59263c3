"""Convert an fp32 graph to fp16: weights and computation change, inputs and outputs stay as they are.

Each node computes in one precision. A tensor that is used in the other precision is cast once, and weights are stored
in the precision of their node, as a strongly typed engine (TensorRT) requires.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fastsam_export.errors import ExportError
from fastsam_export.fp16.fp32_islands import float_types, islands

if TYPE_CHECKING:
    import onnx

_ANY_TYPE = {"Shape", "Size", "Cast", "IsNaN", "IsInf"}  # accept fp32 and fp16
_ALWAYS_FP32 = {"Resize": (1, 2)}  # inputs that are float32 in every precision of the node: roi and scales


def to_fp16(model: onnx.ModelProto, magnitudes: Mapping[str, float]) -> onnx.ModelProto:
    """Convert a graph to fp16, and check the result.

    Args:
        model: A graph from `flatten`.
        magnitudes: Largest magnitude of each float tensor by name, from `fp32_islands.peaks`.

    Raises:
        ExportError: The graph can't be converted.
    """
    import onnx

    half = _Rewriter(model, islands(model, magnitudes)).rewrite()
    try:
        onnx.checker.check_model(half, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"fp16: expected a valid graph after the conversion, found: {error}") from error
    return half


def flatten(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a graph; in the copy all constants are initializers, and identities are removed.

    Raises:
        ExportError: The graph contains subgraphs or functions.
    """
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    if made.functions or any(a.HasField("g") or a.graphs for node in graph.node for a in node.attribute):
        raise ExportError("fp16: expected a flat graph, found branches, loops or functions in it")
    outputs = {each.name for each in graph.output}
    same: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = same.get(name, name)
        if node.op_type == "Constant" and node.output[0] not in outputs:
            tensor = onnx.numpy_helper.from_array(_value(node), node.output[0])
            graph.initializer.append(tensor)
        elif node.op_type == "Identity" and node.output[0] not in outputs:
            same[node.output[0]] = node.input[0]
        else:
            nodes.append(node)
    del graph.node[:]
    del graph.value_info[:]
    graph.node.extend(nodes)
    return made


def _value(node: onnx.NodeProto) -> np.ndarray:
    """The value of a Constant node, from whichever attribute holds it."""
    import onnx

    (attribute,) = node.attribute
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return np.asarray(onnx.numpy_helper.to_array(value))
    if attribute.name in ("value_float", "value_floats"):
        return np.asarray(value, np.float32)
    if attribute.name in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    raise ExportError(f"fp16: expected numbers in a constant, found {attribute.name}")


class _Rewriter:
    """The conversion of one graph."""

    def __init__(self, model: onnx.ModelProto, kept: set[int]) -> None:
        import onnx

        self._onnx = onnx
        self._model = onnx.ModelProto()
        self._model.CopyFrom(model)
        self._kept = kept
        self._fp32, self._fp16 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
        types = float_types(model)
        if self._fp16 in types.values():
            raise ExportError("fp16: expected a graph in fp32, found fp16 in it")
        self._floats = {name for name, kind in types.items() if kind == self._fp32}
        self._stored = {each.name: each for each in model.graph.initializer}
        self._outputs = {each.name for each in model.graph.output}
        self._made: dict[str, dict[int, str]] = {each.name: {self._fp32: each.name} for each in model.graph.input}
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._nodes: list[onnx.NodeProto] = []

    def rewrite(self) -> onnx.ModelProto:
        graph = self._model.graph
        for i, node in enumerate(list(graph.node)):
            self._convert(node, self._fp32 if i in self._kept else self._fp16)
        for name in self._outputs:
            if name in self._floats and name in self._made:
                self._as(name, self._fp32)
        del graph.node[:]
        del graph.initializer[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(self._initializers.values())
        return self._model

    def _convert(self, node: onnx.NodeProto, precision: int) -> None:
        made, source = node.output[0], node.input[0] if node.input else ""
        between_floats = {made, source} <= self._floats and source not in self._stored
        if node.op_type == "Cast" and between_floats and made not in self._outputs:
            self._made[made] = self._made[source]  # a cast from float to float is dropped: each user casts as needed
            return
        always = _ALWAYS_FP32.get(node.op_type, ())
        for i, name in enumerate(node.input):
            if name in self._stored:
                node.input[i] = self._weights(name, self._fp32 if i in always else precision)
            elif name in self._floats and node.op_type not in _ANY_TYPE:
                node.input[i] = self._as(name, self._fp32 if i in always else precision)
            elif name in self._floats:
                node.input[i] = next(iter(self._made[name].values()))
        for i, name in enumerate(node.output):
            if name in self._floats:
                # The name of a graph output belongs to the fp32 tensor.
                node.output[i] = f"{name}/fp16" if precision == self._fp16 and name in self._outputs else name
                self._made[name] = {precision: node.output[i]}
        self._nodes.append(node)

    def _weights(self, name: str, precision: int) -> str:
        """Name of an initializer in a precision; tensors that are not float stay as they are."""
        tensor = self._stored[name]
        if name not in self._floats or precision == self._fp32:
            self._initializers[name] = tensor
            return name
        half = f"{name}/fp16"
        if half not in self._initializers:
            array = self._onnx.numpy_helper.to_array(tensor).astype(np.float16)
            self._initializers[half] = self._onnx.numpy_helper.from_array(array, half)
        return half

    def _as(self, name: str, precision: int) -> str:
        """Name of a float tensor in a precision; a cast is added if there is none yet."""
        names = self._made[name]
        if precision not in names:
            (source,) = names.values()
            named = precision == self._fp32 and name in self._outputs
            wanted = name if named else f"{name}/{'fp16' if precision == self._fp16 else 'fp32'}"
            self._nodes.append(
                self._onnx.helper.make_node("Cast", [source], [wanted], name=f"{wanted}/Cast", to=precision)
            )
            names[precision] = wanted
        return names[precision]
