"""Count the operations and bytes that one run of an ONNX graph needs, node by node.

A multiply-add counts as two operations. Only convolutions and matrix products count, since the limit of a chip is
stated for them.

Bytes are counted in two ways:

- `minimal_bytes`: each weight and input is read once, each output is written once, and everything else stays on the
  chip. No implementation moves less, so limits are computed from it.
- `node_bytes`: every node reads its inputs from memory and writes its outputs to it. This is no lower bound: backends
  fuse nodes, and other values stay in caches.

Published numbers of the YOLO family from before ultralytics-thop 2.2 are higher than ours: they count a transposed
convolution as if its whole kernel met a value at each position of the output, which at stride 2 is four times too much.
For YOLOv8n-seg at 640 x 640 they give 12.6 GFLOPs instead of 12.0. `published_operations` counts in the same way, for
comparison; without transposed convolutions both numbers are equal.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastsam_bench.errors import GraphCountError
from fastsam_bench.roofline.shape_inference import GraphValues, Value, find_values
from fastsam_engine.session import ComputePrecision, Session
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec_reader import read_spec

_WIDTHS: Mapping[ComputePrecision, int] = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "int8": 1}
_VIEWS = {"Constant", "Flatten", "Identity", "Reshape", "Shape", "Size", "Squeeze", "Unsqueeze"}
_WITHIN_OTHERS = {"DequantizeLinear", "QuantizeLinear"}  # backends fuse these into the nodes around them
_TAKES_PART = {
    "Gather",
    "GatherElements",
    "GatherND",
    "Slice",
}  # they read only the part of their input that they output
_PRODUCTS_UNKNOWN = {"Attention", "GRU", "LSTM", "RNN"}


@dataclass(frozen=True, slots=True)
class NodeCost:
    """The cost of one node.

    Attributes:
        name, operator: Name and operator of the node.
        operations: Two per multiply-add; 0 for nodes that are no products.
        published_operations: The same, with transposed convolutions counted over their output.
        nbytes: Bytes of all its inputs and outputs.
    """

    name: str
    operator: str
    operations: int
    published_operations: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class GraphCosts:
    """The cost of one run of a graph.

    Attributes:
        nodes: The cost of each node, in execution order.
        weight_bytes: Bytes of all weights that are read, counted once; only the rows of a table that are looked up.
        input_bytes, output_bytes: Bytes of the inputs and outputs of the graph.
    """

    nodes: tuple[NodeCost, ...]
    weight_bytes: int
    input_bytes: int
    output_bytes: int

    @property
    def operations(self) -> int:
        """Operations of all nodes."""
        return sum(node.operations for node in self.nodes)

    @property
    def published_operations(self) -> int:
        """Operations of all nodes, counted as in older publications of the YOLO family."""
        return sum(node.published_operations for node in self.nodes)

    @property
    def by_operator(self) -> Counter[str]:
        """Operations by operator, without operators that have none."""
        found = Counter[str]()
        for node in self.nodes:
            if node.operations:
                found[node.operator] += node.operations
        return found

    @property
    def minimal_bytes(self) -> int:
        """The least that a run can move: weights and inputs read once, outputs written once."""
        return self.weight_bytes + self.input_bytes + self.output_bytes

    @property
    def node_bytes(self) -> int:
        """The bytes that move if every node reads and writes memory."""
        return sum(node.nbytes for node in self.nodes)


def count(
    graph: Path | Any,
    shapes: Mapping[str, Sequence[int]],
    precision: ComputePrecision | None = None,
    *,
    input_widths: Mapping[str, int] | None = None,
) -> GraphCosts:
    """Count the cost of one run of a graph.

    Args:
        graph: An ONNX file, or a model (`onnx.ModelProto`).
        shapes: Shapes of the inputs with dynamic axes.
        precision: The precision of computation, which sets the width of floating-point weights and values: two bytes
            in bf16 even if the file holds fp32, one byte in int8 (although some values stay wider). None: as in the
            file. Integers, and the inputs and outputs of the graph, keep their width.
        input_widths: Bytes per number, by input name, of inputs with another dtype than in the file: 1 if a session
            takes pictures as cameras deliver them.

    Raises:
        GraphCountError: The graph can't be counted.
        PackagesMissingError: The extra `[bench]` is not installed.
    """
    found = find_values(graph, shapes)
    where = graph.name if isinstance(graph, Path) else "graph"

    def width(name: str) -> int:
        dtype = found.values[name].dtype
        return dtype.itemsize if precision is None or not _is_float(dtype) else _WIDTHS[precision]

    def nbytes(name: str) -> int:
        return math.prod(found.values[name].shape) * width(name)

    def own(name: str) -> int:
        value = found.values[name]
        return math.prod(value.shape) * (input_widths or {}).get(name, value.dtype.itemsize)

    return GraphCosts(
        tuple(_node_cost(node, found, nbytes, where) for node in found.nodes if node.op_type != "Constant"),
        _weight_bytes(found, nbytes),
        sum(own(name) for name in found.inputs),
        sum(own(name) for name in found.outputs),
    )


def session_costs(session: Session, shapes: Mapping[str, Sequence[int]]) -> GraphCosts:
    """Count the cost of one run of a session, with its actual precision and inputs.

    Args:
        session: A session of an ONNX file, not of a plan.
        shapes: Shapes of all inputs of the run.

    Raises:
        GraphCountError, PackagesMissingError: As `count`.
    """
    if session.path.suffix != ".onnx":
        raise GraphCountError(session.path.name, "a session of an ONNX graph", "one of a plan")
    taken, own = session.spec.input, read_spec(session.path).input
    given = {name: tuple(shape) for name, shape in shapes.items()}
    if isinstance(taken, ImageInput) and isinstance(own, ImageInput) and taken.layout != own.layout:
        n, h, w, channels = given[taken.name]  # pictures as cameras deliver them
        given[taken.name] = (n, channels, h, w)
    widths = {"float32": 4, "float16": 2, "uint8": 1, "int64": 8}
    names = zip(session.spec.input_names, session.spec.input_dtypes, strict=True)
    return count(session.path, given, session.precision, input_widths={name: widths[dtype] for name, dtype in names})


def _is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" or dtype.name == "bfloat16"


def _node_cost(node: Any, found: GraphValues, nbytes: Callable[[str], int], where: str) -> NodeCost:
    if node.op_type in _PRODUCTS_UNKNOWN:
        raise GraphCountError(where, "operators whose products are known", f"{node.op_type} {node.name!r}")
    rule = _RULES.get(node.op_type)
    operations = published = 2 * rule(node, found.values) if rule else 0
    if node.op_type == "ConvTranspose":
        published = 2 * _over_output(node, found.values)
    moved = 0
    if node.op_type not in _VIEWS | _WITHIN_OTHERS:
        given = [nbytes(name) for name in node.output if name]
        taken = [nbytes(name) for name in node.input if name]
        if node.op_type in _TAKES_PART:
            taken[0] = min(taken[0], given[0])
        moved = sum(taken) + sum(given)
    return NodeCost(node.name, node.op_type, operations, published, moved)


def _weight_bytes(found: GraphValues, nbytes: Callable[[str], int]) -> int:
    """Bytes of the constants that are read. Of a table only the rows that are looked up count."""
    takers: dict[str, list[Any]] = {}
    for node in found.nodes:
        for name in found.constants.intersection(node.input):
            takers.setdefault(name, []).append(node)
    read = 0
    for name, nodes in takers.items():
        looked_up = all(node.op_type in _TAKES_PART and node.input[0] == name for node in nodes)
        rows = sum(nbytes(node.output[0]) for node in nodes) if looked_up else nbytes(name)
        read += min(nbytes(name), rows)
    return read


def _attribute(node: Any, name: str) -> Any:
    return next((each for each in node.attribute if each.name == name), None)


def _conv(node: Any, values: Mapping[str, Value], weights: int = 1) -> int:
    kernel = values[node.input[weights]].shape  # (out, in / groups, ...)
    return math.prod(values[node.output[0]].shape) * math.prod(kernel[1:])


def _conv_transpose(node: Any, values: Mapping[str, Value]) -> int:
    kernel = values[node.input[1]].shape  # (in, out / groups, ...): every input value is multiplied by each of these
    return math.prod(values[node.input[0]].shape) * math.prod(kernel[1:])


def _over_output(node: Any, values: Mapping[str, Value]) -> int:
    groups = _attribute(node, "group")
    kernel = values[node.input[1]].shape
    each = kernel[0] * math.prod(kernel[2:]) // (groups.i if groups else 1)
    return math.prod(values[node.output[0]].shape) * each


def _matmul(node: Any, values: Mapping[str, Value]) -> int:
    return math.prod(values[node.output[0]].shape) * values[node.input[0]].shape[-1]


def _gemm(node: Any, values: Mapping[str, Value]) -> int:
    flipped = _attribute(node, "transA")
    inner = values[node.input[0]].shape[0 if flipped and flipped.i else 1]
    return math.prod(values[node.output[0]].shape) * inner


def _einsum(node: Any, values: Mapping[str, Value]) -> int:
    """The product of the lengths of all axes, which are either kept or summed over."""
    equation = _attribute(node, "equation").s.decode().replace(" ", "")
    terms = equation.partition("->")[0].split(",")
    if len(terms) > 2 or "." in equation:
        raise GraphCountError(node.name, "an Einsum of two arrays with all axes named", equation)
    if len(terms) == 1:
        return 0
    lengths: dict[str, int] = {}
    for term, name in zip(terms, node.input, strict=True):
        for letter, length in zip(term, values[name].shape, strict=True):
            lengths[letter] = max(length, lengths.get(letter, 1))  # an axis of length 1 is broadcast
    return math.prod(lengths.values())


_RULES: Mapping[str, Callable[[Any, Mapping[str, Value]], int]] = {
    "Conv": _conv,
    "ConvInteger": _conv,
    "ConvTranspose": _conv_transpose,
    "DeformConv": _conv,
    "Einsum": _einsum,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearConv": lambda node, values: _conv(node, values, weights=3),
    "QLinearMatMul": _matmul,
}
