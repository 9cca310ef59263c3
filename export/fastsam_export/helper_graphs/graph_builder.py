"""Build small ONNX graphs in the notation of numpy: one method call per node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    def save(self, path: Path, dtype: str, output: str) -> None:
        """Rename a node's output to the output of the spec, check the graph, and write it.

        No other node may use this output. It is renamed, not copied by another node, since TensorRT accepts uint8 only
        from a cast.
        """
        import onnx

        taken = self._spec.input
        if not isinstance(taken, ArraysInput):
            raise TypeError(f"expected a spec of arrays, found one of {taken.kind}")
        (promised,) = self._spec.outputs
        next(node for node in self._nodes if node.output[0] == output).output[0] = promised.name
        graph = onnx.helper.make_graph(
            self._nodes,
            self._spec.task,
            [_port(*each) for each in zip(taken.names, taken.dtypes, taken.layouts, strict=True)],
            [_port(promised.name, dtype, promised.layout)],
            self._constants,
        )
        model = onnx.helper.make_model(
            graph, opset_imports=[onnx.helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(path))
        write_spec(path, self._spec)

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
