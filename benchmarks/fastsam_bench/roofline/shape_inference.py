"""Find the shape and dtype of every value of an ONNX graph, from the shapes of its inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastsam_bench.errors import GraphCountError
from fastsam_engine.errors import PackagesMissingError, one_line

Shape = tuple[int, ...]
_BODIES = {"If", "Loop", "Scan", "SequenceMap"}
_STANDARD = ("", "ai.onnx")
_LARGEST_SHAPE = 1024  # numbers; larger initializers are weights, not shapes
_ASKED = "fastsam_trt.shape_of/"  # prefix of the names of added outputs


@dataclass(frozen=True, slots=True)
class Value:
    """An array in a graph: its shape, and its numpy dtype."""

    shape: Shape
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class GraphValues:
    """The nodes and values of a graph.

    Attributes:
        nodes: The nodes (`onnx.NodeProto`), in execution order.
        values: All inputs and outputs of nodes, by name.
        inputs, outputs: Names of the inputs and outputs of the graph.
        constants: Names of the stored values.
    """

    nodes: tuple[Any, ...]
    values: Mapping[str, Value]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: frozenset[str]


def find_values(graph: Path | Any, shapes: Mapping[str, Sequence[int]]) -> GraphValues:
    """Find the shape and dtype of every value of a graph.

    Shapes are inferred by the `onnx` package. Where it can't (a shape that was computed on the way), the graph is run
    once on zeros by ONNX Runtime, which outputs the missing shapes.

    Args:
        graph: An ONNX file, or a model (`onnx.ModelProto`), which is left as it is.
        shapes: Of the inputs whose axes are not fixed.

    Raises:
        GraphCountError: The graph has bodies, functions or operators that ONNX does not know, the shapes do not fit
            its inputs, or it can't be run.
        PackagesMissingError: `onnx` is missing; or ONNX Runtime is, and the graph has to be run.
    """
    onnx = load_onnx()
    model = onnx.load(str(graph)) if isinstance(graph, Path) else graph
    where = graph.name if isinstance(graph, Path) else model.graph.name
    _check_operators(model, where)
    constants = {each.name for each in model.graph.initializer}
    inputs = tuple(each.name for each in model.graph.input if each.name not in constants)
    light = _without_weights(onnx, model)
    for given in light.graph.input:
        if given.name in inputs:
            _fix(where, given, shapes.get(given.name))
    values, dtypes = _infer(onnx, light)
    missing = [name for name in _names(model) if name not in values]
    if missing:
        feeds = {each.name: np.zeros(values[each.name].shape, values[each.name].dtype) for each in light.graph.input}
        for name, shape in _run(onnx, light, where, missing, feeds).items():
            if name not in dtypes:
                raise GraphCountError(where, f"an array of a known dtype in {name!r}", "another kind of value")
            values[name] = Value(shape, dtypes[name])
    constants |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    return GraphValues(
        tuple(model.graph.node), values, inputs, tuple(each.name for each in model.graph.output), frozenset(constants)
    )


def _without_weights(onnx: Any, model: Any) -> Any:
    """The graph with its weights as inputs, and without the shapes that an exporter recorded.

    No shape depends on a weight, and hundreds of megabytes would be copied each time the graph is handed on.
    """
    stored = {each.name: each for each in model.graph.initializer}
    graph = onnx.helper.make_graph(
        model.graph.node,
        model.graph.name or "graph",
        [each for each in model.graph.input if each.name not in stored],
        model.graph.output,
        [each for each in stored.values() if math.prod(each.dims) <= _LARGEST_SHAPE],
    )
    kept = {each.name for each in graph.initializer}
    graph.input.extend(
        onnx.helper.make_tensor_value_info(name, each.data_type, each.dims)
        for name, each in stored.items()
        if name not in kept
    )
    return onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _check_operators(model: Any, where: str) -> None:
    if model.functions:
        raise GraphCountError(where, "a graph without functions of its own", f"{model.functions[0].name!r}")
    for node in model.graph.node:
        if node.op_type in _BODIES:
            raise GraphCountError(where, "a graph without bodies", f"{node.op_type} {node.name!r}")
        if node.domain not in _STANDARD:
            raise GraphCountError(where, "operators of ONNX", f"{node.domain}.{node.op_type} {node.name!r}")


def _fix(where: str, given: Any, shape: Sequence[int] | None) -> None:
    """Write the given shape of an input into the graph."""
    dims = given.type.tensor_type.shape.dim
    own = tuple(axis.dim_value if axis.HasField("dim_value") else axis.dim_param for axis in dims)
    if shape is None:
        shape = [axis for axis in own if isinstance(axis, int)]
    if len(shape) != len(own) or any(isinstance(b, int) and a != b for a, b in zip(shape, own, strict=True)):
        wanted = ", ".join(str(axis or "?") for axis in own)
        raise GraphCountError(where, f"a shape ({wanted}) for the input {given.name!r}", f"{tuple(shape)}")
    for axis, length in zip(dims, shape, strict=True):
        axis.dim_value = length


def _names(model: Any) -> Iterator[str]:
    for node in model.graph.node:
        yield from (name for name in (*node.input, *node.output) if name)


def _infer(onnx: Any, model: Any) -> tuple[dict[str, Value], dict[str, np.dtype[Any]]]:
    """The values that can be inferred, and all inferred dtypes, which are more."""
    as_numpy = onnx.helper.tensor_dtype_to_np_dtype
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    values, dtypes = dict[str, Value](), dict[str, np.dtype[Any]]()
    for each in (*inferred.input, *inferred.value_info, *inferred.output):
        tensor = each.type.tensor_type
        if tensor.elem_type:
            dtypes[each.name] = np.dtype(as_numpy(tensor.elem_type))
            if tensor.HasField("shape") and all(axis.HasField("dim_value") for axis in tensor.shape.dim):
                shape = tuple(axis.dim_value for axis in tensor.shape.dim)
                values[each.name] = Value(shape, dtypes[each.name])
    stored = [(each.name, each) for each in model.graph.initializer]
    for node in model.graph.node:
        if node.op_type == "Constant":
            stored += [(node.output[0], each.t) for each in node.attribute if each.name == "value"]
    values |= {name: Value(tuple(each.dims), np.dtype(as_numpy(each.data_type))) for name, each in stored}
    return values, dtypes


def _run(onnx: Any, model: Any, where: str, wanted: Sequence[str], feeds: Mapping[str, Any]) -> dict[str, Shape]:
    """Run a graph for the shapes of values; the values themselves are not kept."""
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise PackagesMissingError([error.name or "onnxruntime"], "cpu") from error
    wanted = list(dict.fromkeys(wanted))
    asking = onnx.ModelProto()
    asking.CopyFrom(model)
    for name in wanted:
        asking.graph.node.append(onnx.helper.make_node("Shape", [name], [_ASKED + name]))
    del asking.graph.output[:]
    asking.graph.output.extend(
        onnx.helper.make_tensor_value_info(_ASKED + name, onnx.TensorProto.INT64, None) for name in wanted
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Shapes that follow from the inputs become constants, and nodes that are not needed for the others do not run.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(asking.SerializeToString(), options, ["CPUExecutionProvider"])
        found = session.run(None, dict(feeds))
    except Exception as error:  # the library's own exceptions share no base but Exception
        raise GraphCountError(where, "a graph that ONNX Runtime runs", one_line(error)) from error
    return {name: tuple(each.tolist()) for name, each in zip(wanted, found, strict=True)}


def load_onnx() -> Any:
    """Import `onnx`, which reads graphs and builds probe graphs here. The extra `[bench]` installs it.

    Raises:
        PackagesMissingError: It is not installed.
    """
    try:
        import onnx
        import onnx.shape_inference
    except ModuleNotFoundError as error:
        raise PackagesMissingError([error.name or "onnx"], "bench") from error
    return onnx
