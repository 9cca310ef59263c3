"""Compute a branch on patches of its features: convolutions shrink the patches instead of padding them.

Zero padding at the border of the map is reproduced by zeros in the patches, before each convolution that looks at
neighbours. With that, patches give the same numbers as the whole map.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fastsam_export.errors import SplitError
from fastsam_export.sparse.branches import Branch
from fastsam_export.sparse.dense_graph import DenseGraph
from fastsam_export.sparse.locality import ENLARGING, conv_reach, reaches
from fastsam_export.sparse.part_builder import PartBuilder

if TYPE_CHECKING:
    import onnx

_INT64_MAX = sys.maxsize


@dataclass(frozen=True, slots=True)
class Patches:
    """Patches of a feature map in a graph under construction.

    Attributes:
        features: Name of the features (k, c, y, x), which are 0 outside the map.
        inside: Name of a float32 mask (k, 1, y, x): 1 inside the map, 0 outside it.
        reach: Cells around the places to compute, on each side.
    """

    features: str
    inside: str
    reach: int


def reach_cells(dense: DenseGraph, branch: Branch) -> int:
    """Cells around a place that its output needs, on each side.

    Raises:
        SplitError: The branch is not local, or its output has another size than its features.
    """
    found = reaches(dense, branch)[branch.output]
    if found.scale != 1:
        raise SplitError(f"expected {branch.output} to have the size of its features, found {found.scale} times that")
    return int(max(found.rows, found.columns))


def add_shrinking(graph: PartBuilder, branch: Branch, patches: Patches) -> str:
    """Add the nodes of a branch.

    Args:
        graph: The graph under construction.
        branch: A local branch of its dense graph.
        patches: The patches, with at least the reach of the branch.

    Returns:
        The branch's output (k, c, s * (y - 2 reach), s * (x - 2 reach)), where s is its scale.
    """
    return _Shrinking(graph, branch, patches).output()


class _Shrinking:
    """The rewriting of one branch."""

    def __init__(self, graph: PartBuilder, branch: Branch, patches: Patches) -> None:
        self._graph, self._dense, self._branch, self._patches = graph, graph.dense, branch, patches
        self._nodes = self._dense.between([branch.features], [branch.output])
        found = reaches(self._dense, branch)
        self._reaches, end = found, found[branch.output]
        self._cropped = {
            name: (
                int((patches.reach - end.rows + each.rows) * each.scale),
                int((patches.reach - end.columns + each.columns) * each.scale),
            )
            for name, each in found.items()
        }
        """Rows and columns that a tensor lacks on each side of the patches: all that nothing after it needs."""
        self._zeroed = {
            self._dense.source(node.input[0])
            for node in self._nodes
            if node.op_type == "Conv" and any(conv_reach(self._dense, node))
        }
        """Tensors whose elements outside the map must be zero. Quantised ones are zeroed before they are quantised."""
        self._names: dict[str, str] = {}
        self._masks: dict[tuple[str, bool], str] = {}

    def output(self) -> str:
        start = self._branch.features
        self._names[start] = self._crop(self._patches.features, self._cropped[start])
        for node in self._nodes:
            wanted = self._cropped[node.output[0]]
            shrinks, enlarges = node.op_type == "Conv", node.op_type in ENLARGING
            inputs = []
            for name in node.input:
                if name in self._names:
                    lacks = self._cropped[name]
                    cut = (0, 0) if shrinks or enlarges else (wanted[0] - lacks[0], wanted[1] - lacks[1])
                    inputs.append(self._crop(self._names[name], cut))
                else:
                    inputs.append(name)
            self._graph.keep_node(node, inputs, ("pads", "auto_pad") if shrinks else ())
            for name in node.output:
                self._made(name, self._crop(name, self._surplus(node, wanted)) if enlarges else name)
        return self._names[self._branch.output]

    def _surplus(self, node: onnx.NodeProto, wanted: tuple[int, int]) -> tuple[int, int]:
        """What to crop after a node that enlarges its map."""
        (name,) = (name for name in node.input if name in self._names)
        factor = self._reaches[node.output[0]].scale // self._reaches[name].scale
        rows, columns = (factor * each for each in self._cropped[name])
        return wanted[0] - rows, wanted[1] - columns

    def _made(self, tensor: str, name: str) -> None:
        """Register the name of a tensor, and zero it outside the map if needed."""
        self._names[tensor] = self._graph.Mul(name, self._mask(tensor)) if tensor in self._zeroed else name

    def _mask(self, tensor: str) -> str:
        scale, half = self._reaches[tensor].scale, self._dense.is_half(tensor)
        whole = f"inside_{scale}"
        if (whole, half) not in self._masks:
            mask = self._patches.inside
            if scale > 1:
                factors = np.array([1, 1, scale, scale], np.float32)
                mask = self._graph.Resize(
                    mask, "", factors, mode="nearest", coordinate_transformation_mode="asymmetric",
                    nearest_mode="floor",
                )  # fmt: skip
            self._masks[whole, half] = self._graph.cast(mask, "float16") if half else mask
        key = f"{whole}_{self._cropped[tensor]}", half
        if key not in self._masks:
            self._masks[key] = self._crop(self._masks[whole, half], self._cropped[tensor])
        return self._masks[key]

    def _crop(self, name: str, cut: tuple[int, int]) -> str:
        if cut == (0, 0):
            return name
        return self._graph.Slice(name, list(cut), [-each if each else _INT64_MAX for each in cut], [2, 3])
