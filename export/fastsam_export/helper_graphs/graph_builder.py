"""Build small ONNX graphs in the notation of numpy: one method call per node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import ArraysInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_export.onnx_file import write_spec

_OPSET = 18
_IR_VERSION = 8  # the first with opset 18; older runtimes refuse newer versions

Value: TypeAlias = str | float | Sequence[int] | NDArray[Any]
"""An input of a node: the name of another node's output, a float32 scalar, int64 numbers, or an array."""


class GraphBuilder:
    """A graph under construction. Every ONNX operator is a method: `graph.Mul(a, 0.5)` adds a node, returns its output.

    Values are named by strings.
    """

    def __init__(self, spec: ModelSpec) -> None:
        """Start with the inputs of a spec, under their names."""
        self._spec = spec
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def __getattr__(self, operator: str) -> Callable[..., str]:
        """A function that adds a node of an operator, with inputs by position and attributes by name."""
        if not operator[0].isupper():
            raise AttributeError(operator)

        def add(*inputs: Value, **attributes: Any) -> str:
            return self._node(operator, inputs, attributes)

        return add

    def cast(self, value: Value, dtype: str) -> str:
        """Convert to a numpy dtype, such as `float32`."""
        import onnx

        return self._node("Cast", (value,), {"to": onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))})

    def save(self, path: Path, outputs: Mapping[str, str]) -> None:
        """Rename outputs of nodes to the outputs of the spec, check the graph, and write it.

        No other node may use these outputs. They are renamed, not copied by another node, since TensorRT accepts uint8
        only from a cast.

        Args:
            path: File to write.
            outputs: Name to dtype of the nodes' outputs, in the order of the spec.
        """
        import onnx

        ports = []
        for (made, dtype), promised in zip(outputs.items(), self._spec.outputs, strict=True):
            next(node for node in self._nodes if node.output[0] == made).output[0] = promised.name
            ports.append(_port(promised.name, dtype, promised.layout))
        graph = onnx.helper.make_graph(self._nodes, self._spec.task, self._inputs(), ports, self._constants)
        model = onnx.helper.make_model(graph, opset_imports=self._opsets(), ir_version=_IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(path))
        write_spec(path, self._spec)

    def _inputs(self) -> list[Any]:
        """The inputs of the graph."""
        taken = self._spec.input
        if not isinstance(taken, ArraysInput):
            raise TypeError(f"expected a spec of arrays, found one of {taken.kind}")
        return [_port(*each) for each in zip(taken.names, taken.dtypes, taken.layouts, strict=True)]

    def _opsets(self) -> list[Any]:
        """The versions of the operators."""
        import onnx

        return [onnx.helper.make_opsetid("", _OPSET)]

    def _node(self, operator: str, inputs: Sequence[Value], attributes: dict[str, Any]) -> str:
        import onnx

        name = f"{operator.lower()}_{len(self._nodes)}"
        given = [each if isinstance(each, str) else self._constant(each) for each in inputs]
        self._nodes.append(onnx.helper.make_node(operator, given, [name], name, **attributes))
        return name

    def _constant(self, value: float | Sequence[int] | NDArray[Any]) -> str:
        import onnx

        dtype = value.dtype if isinstance(value, np.ndarray) else np.float32 if isinstance(value, float) else np.int64
        name = f"constant_{len(self._constants)}"
        self._constants.append(onnx.numpy_helper.from_array(np.asarray(value, dtype), name))
        return name


def _port(name: str, dtype: str, layout: str) -> Any:
    """An input or output of the graph; axes with a name instead of a number are dynamic."""
    import onnx

    shape = [int(axis) if axis.isdigit() else axis for axis in layout.split()]
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
