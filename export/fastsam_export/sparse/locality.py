"""Derive from the nodes of a branch how far each output looks, and refuse what looks at the whole map."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsam_export.errors import SplitError
from fastsam_export.sparse.branches import Branch
from fastsam_export.sparse.dense_graph import DenseGraph

if TYPE_CHECKING:
    import onnx

_SAME_PLACE = frozenset(
    {
        "Abs", "Add", "Cast", "Ceil", "Clip", "Div", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish",
        "Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "Pow", "PRelu", "Reciprocal", "Relu",
        "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh",
    }
)  # fmt: skip
"""Operators whose output at a place needs only inputs at that place."""

_PER_CHANNEL = frozenset(
    {"BatchNormalization", "QuantizeLinear", "DequantizeLinear"}
)  # their constants are per channel
ENLARGING = frozenset({"ConvTranspose", "Resize"})
"""Operators that make a block of elements from each element."""

_ALONG_CHANNELS = frozenset({"Concat", "Split"})


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a tensor's elements look, in cells of the branch's features to each side.

    Attributes:
        rows, columns: Cells above and below, left and right.
        scale: Elements per cell along an axis.
    """

    rows: Fraction = Fraction(0)
    columns: Fraction = Fraction(0)
    scale: int = 1


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of a node by name."""
    import onnx

    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}


def conv_reach(graph: DenseGraph, node: onnx.NodeProto) -> tuple[int, int]:
    """Elements that a convolution looks at above and below, and left and right.

    Raises:
        SplitError: Its output differs in size from its input.
    """
    found = attributes(node)
    kernel = found.get("kernel_shape") or graph.shape(node.input[1])[2:]
    dilations = found.get("dilations", [1] * len(kernel))
    reach = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilations, strict=True))
    even = any(k % 2 == 0 for k in kernel)
    padded = found.get("auto_pad", b"NOTSET")
    pads = tuple(found.get("pads", [0] * 4)) if padded == b"NOTSET" else reach * 2 if padded != b"VALID" else (0,) * 4
    if len(kernel) != 2 or even or set(found.get("strides", [1, 1])) != {1} or pads != reach * 2:
        raise not_local(node, "changes the size of its map")
    if node.input[1] not in graph.constants:
        raise not_local(node, "has weights that depend on the picture")
    return reach[0], reach[1]


def reaches(graph: DenseGraph, branch: Branch) -> dict[str, Reach]:
    """How far each tensor of a branch looks, by name.

    Raises:
        SplitError: A node looks at the whole map, or at places that it computes, or is not known.
    """
    found = {branch.features: Reach()}
    for node in graph.between([branch.features], [branch.output]):
        if missing := graph.used_by([node]) - found.keys():
            raise SplitError(f"expected a branch of one feature map, found {min(missing)} as another input")
        looked = _node_reach(graph, node, [found[name] for name in node.input if name in found])
        found |= dict.fromkeys(node.output, looked)
    return found


def not_local(node: onnx.NodeProto, why: str) -> SplitError:
    """The error for a node that prevents computing a part of its map."""
    return SplitError(f"expected branches that look at neighbouring cells only, but {node.op_type} {node.name} {why}")


def _node_reach(graph: DenseGraph, node: onnx.NodeProto, inputs: list[Reach]) -> Reach:
    if not inputs:
        raise not_local(node, "depends on no feature")
    if len({each.scale for each in inputs}) > 1:
        raise not_local(node, "combines maps of several sizes")
    widest = Reach(max(each.rows for each in inputs), max(each.columns for each in inputs), inputs[0].scale)
    if node.op_type == "Conv":
        rows, columns = conv_reach(graph, node)
        scale = widest.scale
        return Reach(widest.rows + Fraction(rows, scale), widest.columns + Fraction(columns, scale), scale)
    if node.op_type in ENLARGING:
        return Reach(widest.rows, widest.columns, widest.scale * _enlargement(graph, node))
    if node.op_type in _SAME_PLACE:
        for name in node.input:
            if name in graph.constants and any(length != 1 for length in _along_map(graph, name)):
                raise not_local(node, "has a constant that differs from place to place")
        return widest
    if node.op_type in _PER_CHANNEL or (node.op_type in _ALONG_CHANNELS and attributes(node).get("axis", 0) == 1):
        return widest
    if node.op_type == "Slice" and [list(np.ravel(graph.value(name))) for name in node.input[3:4]] == [[1]]:
        return widest
    raise not_local(node, "may look at more")


def _along_map(graph: DenseGraph, constant: str) -> tuple[int, ...]:
    """The lengths of a constant along the height and width of a map."""
    value = graph.value(constant)
    shape = np.shape(value) if value is not None else graph.shape(constant)
    return tuple(shape[-2:])


def _enlargement(graph: DenseGraph, node: onnx.NodeProto) -> int:
    """The factor of a node that makes a block of elements from each element.

    Raises:
        SplitError: It makes something else.
    """
    found = attributes(node)
    if node.op_type == "ConvTranspose":
        strides, plain = found.get("strides", [1, 1]), found.get("auto_pad", b"NOTSET") == b"NOTSET"
        rest = [*found.get("pads", [0]), *found.get("output_padding", [0])]
        blocks = list(found.get("kernel_shape", [])) == list(strides) and set(found.get("dilations", [1])) == {1}
        if plain and blocks and not any(rest) and "output_shape" not in found and len(set(strides)) == 1:
            return int(strides[0])
    elif found.get("mode", b"nearest") == b"nearest" and len(node.input) == 3 and node.input[2] in graph.initializers:
        _, _, *factors = (float(each) for each in np.ravel(graph.value(node.input[2])))
        places = found.get("coordinate_transformation_mode", b"half_pixel").decode()
        rounded = found.get("nearest_mode", b"round_prefer_floor").decode()
        blocks = (places, rounded) == ("asymmetric", "floor") or (
            places == "half_pixel" and rounded.startswith("round_prefer")
        )
        if blocks and factors[0] == factors[1] == int(factors[0]):
            return int(factors[0])
    raise not_local(node, "does not enlarge its map by whole blocks")
