"""Make graphs that round like devices, as stand-ins for correct plans.

They are computed in fp32 and rounded where a device rounds: TF32 and bf16 before products, fp16 after every operation
of a graph in fp16.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Rounding = Literal["tf32", "bf16", "fp16"]
_PRODUCTS = {"Conv", "ConvTranspose", "MatMul", "Gemm"}
_FACTORS = {"tf32": 2.0**13 + 1, "bf16": 2.0**16 + 1}  # Veltkamp's: 11 and 8 significant bits of 24 remain
_FLOATS = {TensorProto.FLOAT16: TensorProto.FLOAT}


def save_rounded(graph: Path, path: Path, rounding: Rounding) -> Path:
    """Save a graph that rounds, for `fp16` in fp16. It keeps its metadata; inputs and outputs are fp32."""
    model = onnx.load(str(graph))
    if rounding == "fp16":
        _widen(model)
    else:
        _round_factors(model.graph, rounding)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def _round_factors(graph: onnx.GraphProto, rounding: Rounding) -> None:
    graph.initializer.append(numpy_helper.from_array(np.float32(_FACTORS[rounding]), "rounding_factor"))
    rounded: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        if node.op_type in _PRODUCTS:
            for index, name in enumerate(node.input[:2]):
                if name not in rounded:
                    rounded[name] = f"{name}_rounded"
                    nodes += _veltkamp(name, rounded[name])
                node.input[index] = rounded[name]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _veltkamp(name: str, rounded: str) -> list[onnx.NodeProto]:
    """Nodes that round to fewer significant bits (Dekker 1971)."""
    large, rest = f"{name}_large", f"{name}_rest"
    return [
        helper.make_node("Mul", [name, "rounding_factor"], [large]),
        helper.make_node("Sub", [large, name], [rest]),
        helper.make_node("Sub", [large, rest], [rounded]),
    ]


def _widen(model: onnx.ModelProto) -> None:
    """Compute fp16 nodes in fp32, and round their results to fp16."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = (*inferred.value_info, *inferred.output)
    halves = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT16}
    graph = model.graph
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    nodes = []
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in {"to", "dtype"}:
                attribute.i = _FLOATS.get(attribute.i, attribute.i)
            elif attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type == TensorProto.FLOAT16:
                wide = numpy_helper.to_array(attribute.t).astype(np.float32)
                attribute.t.CopyFrom(numpy_helper.from_array(wide, attribute.t.name))
        nodes.append(node)
        for index, name in enumerate(node.output):
            if name in halves and node.op_type != "Constant":
                node.output[index] = f"{name}_wide"
                nodes.append(helper.make_node("Cast", [f"{name}_wide"], [f"{name}_half"], to=TensorProto.FLOAT16))
                nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        kind = value.type.tensor_type
        kind.elem_type = _FLOATS.get(kind.elem_type, kind.elem_type)
