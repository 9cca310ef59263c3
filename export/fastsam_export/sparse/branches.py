"""Find the box, class and coefficient branches, and the prototype branch, of a dense YOLO segmenter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastsam_export.errors import SplitError
from fastsam_export.sparse.dense_graph import DenseGraph

if TYPE_CHECKING:
    import onnx

_LEVEL = re.compile(r"/model\.\d+/(one2one_)?cv([234])\.(\d+)/")
_PROTOTYPES = re.compile(r"/model\.\d+/proto/")
_KINDS = {"2": "box", "3": "class", "4": "coefficient"}  # by the number of ultralytics' module cv2, cv3, cv4


@dataclass(frozen=True, slots=True)
class Branch:
    """A part of the graph: the tensor that it computes from, and the one that it computes."""

    features: str
    output: str


@dataclass(frozen=True, slots=True)
class Level:
    """The branches that predict from one feature map.

    Attributes:
        stride: Side of a cell, px of the input.
        channels: Channels of the features.
        boxes, coefficients: From the features (n, channels, h, w) to (n, c, h, w).
        classes: The class logits (n, classes, h, w).
    """

    stride: int
    channels: int
    boxes: Branch
    coefficients: Branch
    classes: str


@dataclass(frozen=True, slots=True)
class Branches:
    """All branches of a segmenter.

    Attributes:
        levels: By rising stride.
        prototypes: From a feature map to the prototypes.
        prototype_stride: Side of a cell of that feature map, px of the input.
        prototype_channels: Channels of that feature map.
        per_cell: Prototype pixels per cell, along an axis.
    """

    levels: tuple[Level, ...]
    prototypes: Branch
    prototype_stride: int
    prototype_channels: int
    per_cell: int


def find_branches(graph: DenseGraph, image_height: int) -> Branches:
    """Find the branches by the names of ultralytics' modules.

    Args:
        graph: The dense graph.
        image_height: Of the default input, px.

    Raises:
        SplitError: A branch is missing, or has several inputs or outputs.
    """
    groups, prototypes = _groups(graph)
    counts = {kind: sorted(i for found, i in groups if found == kind) for kind in _KINDS.values()}
    numbers = counts["box"]
    if not numbers or any(each != numbers for each in counts.values()) or not prototypes:
        found = ", ".join(f"{len(each)} {kind}" for kind, each in counts.items())
        raise SplitError(
            "expected a box, class and coefficient branch per level and a prototype branch, named as ultralytics "
            f"does, found {found} branches and {'a' if prototypes else 'no'} prototype branch"
        )
    levels = [_level(graph, {kind: groups[kind, i] for kind in _KINDS.values()}, i, image_height) for i in numbers]
    branch = _prototype_branch(graph, prototypes)
    _, channels, height, _ = _shape(graph, branch.features)
    return Branches(
        tuple(sorted(levels, key=lambda level: level.stride)),
        branch,
        image_height // height,
        channels,
        _shape(graph, branch.output)[2] // height,
    )


def _groups(graph: DenseGraph) -> tuple[dict[tuple[str, int], list[onnx.NodeProto]], list[onnx.NodeProto]]:
    """The nodes of each kind and level, and of the prototype branch. One-to-one branches go before one-to-many ones."""
    matches = [(node, match) for node in graph.nodes if (match := _LEVEL.match(node.name))]
    one_to_one = any(match[1] for _, match in matches)
    groups: dict[tuple[str, int], list[onnx.NodeProto]] = {}
    for node, match in matches:
        if bool(match[1]) == one_to_one:
            groups.setdefault((_KINDS[match[2]], int(match[3])), []).append(node)
    return groups, [node for node in graph.nodes if _PROTOTYPES.match(node.name)]


def _level(graph: DenseGraph, groups: dict[str, list[onnx.NodeProto]], number: int, image_height: int) -> Level:
    outputs = {kind: _output(graph, nodes, f"{kind} branch {number}") for kind, nodes in groups.items()}
    features = {kind: _inputs(graph, groups[kind]) for kind in ("box", "coefficient")}
    if len(found := set().union(*features.values())) != 1:
        raise SplitError(
            f"expected the box and coefficient branch {number} to read one feature map, found {len(found)}"
        )
    (shared,) = found
    _, channels, height, width = _shape(graph, shared)
    for kind, output in outputs.items():
        if _shape(graph, output)[2:] != (height, width):
            raise SplitError(f"expected the {kind} branch {number} to keep the size of its feature map")
    boxes, coefficients = (Branch(shared, outputs[kind]) for kind in ("box", "coefficient"))
    return Level(image_height // height, channels, boxes, coefficients, outputs["class"])


def _prototype_branch(graph: DenseGraph, nodes: list[onnx.NodeProto]) -> Branch:
    """From the earliest tensor that all paths pass: what fuses several feature maps stays before it."""
    output = _output(graph, nodes, "prototype branch")
    inputs = _inputs(graph, nodes)
    inside = {id(node) for node in nodes}
    for candidate in (*sorted(inputs), *(name for node in nodes for name in node.output)):
        needed = graph.between([candidate], [output])
        if candidate in graph.constants or candidate == output or not all(id(node) in inside for node in needed):
            continue
        if {graph.source(name) for name in _read(graph, needed)} <= {graph.source(candidate)}:
            return Branch(graph.source(candidate), output)
    raise SplitError(f"expected one feature map that the prototypes are computed from, found {len(inputs)}")


def _inputs(graph: DenseGraph, nodes: list[onnx.NodeProto]) -> set[str]:
    """What a group of nodes reads from outside."""
    return {graph.source(name) for name in _read(graph, nodes)}


def _read(graph: DenseGraph, nodes: list[onnx.NodeProto]) -> set[str]:
    return graph.used_by(nodes) - {name for node in nodes for name in node.output}


def _output(graph: DenseGraph, nodes: list[onnx.NodeProto], what: str) -> str:
    """The one tensor of a group that is used outside it."""
    inside = {id(node) for node in nodes}
    used = graph.used_by(node for node in graph.nodes if id(node) not in inside)
    used |= {each.name for each in graph.model.graph.output}
    found = {graph.source(name) for node in nodes for name in node.output if name in used}
    if len(found) != 1:
        raise SplitError(f"expected one output of the {what}, found {len(found)}")
    return found.pop()


def _shape(graph: DenseGraph, tensor: str) -> tuple[int, ...]:
    shape = graph.shape(tensor)
    if len(shape) != 4 or not all(shape):
        raise SplitError(f"expected a map (n, c, h, w) of known size in {tensor}, found shape {shape or 'unknown'}")
    return shape
