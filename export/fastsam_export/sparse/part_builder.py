"""Build a graph from nodes of a dense graph and new ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_export.helper_graphs.graph_builder import GraphBuilder
from fastsam_export.sparse.dense_graph import DenseGraph

if TYPE_CHECKING:
    import onnx

_NOTHING: Mapping[str, str] = MappingProxyType({})


class PartBuilder(GraphBuilder):
    """A graph under construction that takes nodes from a dense graph, under the names that they have there."""

    def __init__(self, spec: ModelSpec, dense: DenseGraph) -> None:
        """Start with the inputs of a spec."""
        super().__init__(spec)
        self.dense = dense
        self._kept: set[str] = set()

    def keep(self, nodes: Iterable[onnx.NodeProto], renamed: Mapping[str, str] = _NOTHING) -> None:
        """Copy nodes and the constants that they read, with inputs renamed."""
        for node in nodes:
            self.keep_node(node, [renamed.get(name, name) for name in node.input])

    def keep_node(self, node: onnx.NodeProto, inputs: Iterable[str], without: Collection[str] = ()) -> None:
        """Copy a node and the constants that it reads, with other inputs, and without some attributes."""
        import onnx

        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        del copy.input[:], copy.attribute[:]
        copy.input.extend(inputs)
        copy.attribute.extend(each for each in node.attribute if each.name not in without)
        for name in copy.input:
            self._keep_constant(name)
        self._nodes.append(copy)

    def float32(self, value: str, tensor: str) -> str:
        """Convert a value to float32, if its tensor in the dense graph has another type."""
        return self.cast(value, "float32") if self.dense.is_half(tensor) else value

    def _keep_constant(self, name: str) -> None:
        if name in self._kept or name not in self.dense.constants:
            return
        if name in self.dense.initializers:
            self._kept.add(name)
            self._constants.append(self.dense.initializers[name])
            return
        node = self.dense.producers[name]
        self._kept.update(node.output)
        self.keep_node(node, node.input)

    def _inputs(self) -> list[Any]:
        if isinstance(self._spec.input, ImageInput):
            return [each for each in self.dense.model.graph.input if each.name == self._spec.input.name]
        return super()._inputs()

    def _opsets(self) -> list[Any]:
        return list(self.dense.model.opset_import)
