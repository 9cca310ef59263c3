"""Index the nodes, constants, types and shapes of a dense graph."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastsam_engine.spec.model_input import ImageInput
from fastsam_export.errors import SplitError

if TYPE_CHECKING:
    import onnx

OPSET = 18
_RECODED = ("Cast", "QuantizeLinear", "DequantizeLinear", "Identity")  # the same numbers in another dtype


class DenseGraph:
    """A dense graph and who makes and uses each tensor. Shapes are those of one image of the default size."""

    def __init__(self, path: Path, image: ImageInput) -> None:
        """Load a graph.

        Raises:
            SplitError: It has another opset.
        """
        import onnx

        self.model = onnx.load(str(path))
        opset = next(each.version for each in self.model.opset_import if each.domain in ("", "ai.onnx"))
        if opset != OPSET:
            raise SplitError(f"expected a graph of opset {OPSET}, found {opset}")
        self.nodes: list[onnx.NodeProto] = list(self.model.graph.node)
        self.initializers = {each.name: each for each in self.model.graph.initializer}
        self.producers = {name: node for node in self.nodes for name in node.output}
        self.constants = set(self.initializers)
        for node in self.nodes:
            if node.op_type == "Constant" or (node.input and self.constants.issuperset(filter(None, node.input))):
                self.constants.update(node.output)
        self._image = image

    def used_by(self, nodes: Iterable[onnx.NodeProto]) -> set[str]:
        """The tensors that nodes read, without constants."""
        return {name for node in nodes for name in node.input if name} - self.constants

    def source(self, tensor: str) -> str:
        """The tensor with the same numbers before casts and quantisation."""
        while (node := self.producers.get(tensor)) is not None and node.op_type in _RECODED:
            tensor = node.input[0]
        return tensor

    def between(self, starts: Iterable[str], ends: Iterable[str]) -> list[onnx.NodeProto]:
        """The nodes that compute tensors from others, in order. Constants are not among them."""
        known, open_ = set(starts) | self.constants, list(ends)
        needed: set[int] = set()
        while open_:
            tensor = open_.pop()
            if tensor in known:
                continue
            known.add(tensor)
            if (node := self.producers.get(tensor)) is not None:
                needed.add(id(node))
                open_.extend(filter(None, node.input))
        return [node for node in self.nodes if id(node) in needed]

    def value(self, tensor: str) -> Any:
        """The numbers of a constant that is stored in the file; None for one that nodes compute."""
        import onnx

        if tensor in self.initializers:
            return onnx.numpy_helper.to_array(self.initializers[tensor])
        node = self.producers[tensor]
        if node.op_type == "Constant":
            value = onnx.helper.get_attribute_value(node.attribute[0])
            return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
        return None

    def shape(self, tensor: str) -> tuple[int, ...]:
        """The shape of a tensor; 0 stands for a length that is not known."""
        kind = self._types.get(tensor)
        return () if kind is None else tuple(each.dim_value for each in kind.shape.dim)

    def is_half(self, tensor: str) -> bool:
        """Whether a tensor is float16."""
        import onnx

        kind = self._types.get(tensor)
        return kind is not None and kind.elem_type == onnx.TensorProto.FLOAT16

    @cached_property
    def _types(self) -> dict[str, Any]:
        """Inferred type and shape by tensor, at the default size."""
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for given in model.graph.input:
            if given.name == self._image.name:
                dims = given.type.tensor_type.shape.dim
                for dim, length in zip(dims, (1, 3, self._image.height, self._image.width), strict=True):
                    dim.dim_value = length
        for made in model.graph.output:
            made.type.tensor_type.ClearField("shape")
        del model.graph.value_info[:]
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        return {each.name: each.type.tensor_type for each in (*graph.value_info, *graph.output, *graph.input)}
