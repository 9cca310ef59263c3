"""ReadyGraph: a ready ONNX graph that is adapted to what the runtime feeds and expects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsam_engine.graph.onnx_graph import Axes, read_graph
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.spec.onnx_metadata import read_metadata
from fastsam_export.adopt.outside_weights import check_weights_beside, read_weights
from fastsam_export.errors import AdoptionError
from fastsam_export.onnx_file import write_spec

if TYPE_CHECKING:
    import onnx

_STANDARD_DOMAINS = ("", "ai.onnx")
_OLDEST_OPSET = 11
_AXES_AS_INPUT = 13  # the opset from which ReduceSum takes its axes as an input
_MOST_BYTES = (1 << 31) - (1 << 20)  # protobuf's limit, with room for everything but the weights


class ReadyGraph:
    """A graph whose inputs and outputs are adapted. The original file stays as it is.

    Attributes:
        path: The original file.
        inputs, outputs: Of the original, by name.
        opset: Version of ONNX's operators.
    """

    def __init__(self, path: Path) -> None:
        """Load a graph with its weights.

        Raises:
            ModelFileError: The file is truncated or no ONNX file, or its external weights are missing.
            AdoptionError: It has operators that are not ONNX's own, or too old ones.
        """
        import onnx

        read_metadata(path)  # refuses what is no ONNX file, with a clear message
        ports = read_graph(path)
        check_weights_beside(path, ports.external)
        self.path, self.inputs, self.outputs = path, ports.inputs, ports.outputs
        self._model = onnx.load(str(path), load_external_data=False)
        read_weights(self._model, path.parent)
        self._graph = self._model.graph
        opsets = {each.domain: each.version for each in self._model.opset_import}
        self.opset = next((opsets[domain] for domain in _STANDARD_DOMAINS if domain in opsets), 0)
        foreign = {
            f"{node.domain}.{node.op_type}" for node in _nodes(self._graph) if node.domain not in _STANDARD_DOMAINS
        }
        if foreign:
            raise AdoptionError(path, f"expected ONNX's own operators, found {', '.join(sorted(foreign))}")
        if self.opset < _OLDEST_OPSET:
            raise AdoptionError(path, f"expected opset {_OLDEST_OPSET} or newer, found {self.opset}")
        self._made = 0

    @property
    def is_in_order(self) -> bool:
        """Whether each node comes after those whose outputs it reads."""
        order, _ = self._execution_order(tuple(self.outputs))
        return order == sorted(order)

    def keep(self, outputs: Sequence[str]) -> tuple[str, ...]:
        """Keep only what some outputs need.

        Returns:
            Names of the inputs that they need.
        """
        graph = self._graph
        order, needed = self._execution_order(outputs)
        if order == sorted(order):
            _drop(graph.node, set(range(len(graph.node))) - set(order))
        else:  # converters to half precision append nodes anywhere, which not every backend accepts
            nodes = [graph.node[index] for index in order]
            del graph.node[:]
            graph.node.extend(nodes)
        for tensors in (graph.initializer, graph.input):
            _drop(tensors, {index for index, each in enumerate(tensors) if each.name not in needed})
        sparse = graph.sparse_initializer
        _drop(sparse, {index for index, each in enumerate(sparse) if each.values.name not in needed})
        ports = {each.name: each for each in graph.output}
        kept = [ports[name] for name in outputs]
        del graph.output[:]
        graph.output.extend(kept)
        del graph.value_info[:]  # of other sizes, and of nodes that are gone
        return tuple(name for name in self.inputs if name in needed)

    def set_input(self, name: str, dtype: str, axes: Axes) -> None:
        """Set dtype and axes of an input; a length fits one that the graph leaves free."""
        import onnx

        found = self.inputs[name].dtype
        port = next(each for each in self._graph.input if each.name == name)
        port.CopyFrom(onnx.helper.make_tensor_value_info(name, _element_type(dtype), axes))
        if found != dtype:
            cast = self._rename(name)
            self._graph.node.insert(0, onnx.helper.make_node("Cast", [name], [cast], to=_element_type(found)))

    def fill_with_ones(self, name: str, axes: tuple[int, ...], like: str) -> None:
        """Replace an input by ones.

        Args:
            name: The input.
            axes: Its lengths without the batch.
            like: The input that has the same batch.
        """
        import onnx

        element = _element_type(self.inputs[name].dtype)
        _drop(self._graph.input, {index for index, each in enumerate(self._graph.input) if each.name == name})
        shape, batch, sides = self._new(), self._new(), self._new()
        self._constant(sides, np.array([0], np.int64))
        rest = self._new()
        self._constant(rest, np.array(axes, np.int64))
        lengths = self._new()
        one = onnx.helper.make_tensor("one", element, [1], [1])
        nodes = [
            onnx.helper.make_node("Shape", [like], [shape]),
            onnx.helper.make_node("Gather", [shape, sides], [batch], axis=0),
            onnx.helper.make_node("Concat", [batch, rest], [lengths], axis=0),
            onnx.helper.make_node("ConstantOfShape", [lengths], [name], value=one),
        ]
        for node in reversed(nodes):
            self._graph.node.insert(0, node)

    def normalise(self, name: str) -> None:
        """Scale the rows of an output (n, d) to length one."""
        import onnx

        rows = self._output_as_float32(name)
        squares, total, length = self._new(), self._new(), self._new()
        nodes = [onnx.helper.make_node("Mul", [rows, rows], [squares])]
        if self.opset >= _AXES_AS_INPUT:
            axis = self._new()
            self._constant(axis, np.array([1], np.int64))
            nodes.append(onnx.helper.make_node("ReduceSum", [squares, axis], [total], keepdims=1))
        else:
            nodes.append(onnx.helper.make_node("ReduceSum", [squares], [total], axes=[1], keepdims=1))
        nodes += [
            onnx.helper.make_node("Sqrt", [total], [length]),
            onnx.helper.make_node("Div", [rows, length], [name]),
        ]
        self._graph.node.extend(nodes)

    def set_float32(self, name: str) -> None:
        """Make an output float32."""
        import onnx

        if self.outputs[name].dtype != "float32":
            values = self._output_as_float32(name)
            self._graph.node.append(onnx.helper.make_node("Identity", [values], [name]))

    def set_output(self, name: str, axes: Axes) -> None:
        """Set the axes of an output, which is float32."""
        import onnx

        port = next(each for each in self._graph.output if each.name == name)
        port.CopyFrom(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, axes))

    def rename_output(self, name: str, new: str) -> None:
        """Rename an output of the graph, before it is changed in another way."""
        if name == new:
            return
        for node in _nodes(self._graph):
            _rename_in(node.input, name, new)
            _rename_in(node.output, name, new)
        for port in self._graph.output:
            if port.name == name:
                port.name = new
        self.outputs[new] = self.outputs.pop(name)

    def save(self, path: Path, spec: ModelSpec) -> None:
        """Write the graph with its spec.

        Raises:
            AdoptionError: It is too large for one file.
        """
        import onnx

        if sum(len(each.raw_data) for each in self._graph.initializer) > _MOST_BYTES:
            raise AdoptionError(
                self.path, "expected a graph of less than 2 GiB, found a larger one", "use --precision fp16"
            )
        onnx.save(self._model, str(path))
        write_spec(path, spec)

    def _execution_order(self, outputs: Sequence[str]) -> tuple[list[int], set[str]]:
        """Indices of the nodes that some outputs need, each after those that it reads, and the names of all tensors.

        Nodes that stand in such an order already keep it.
        """
        nodes = self._graph.node
        producers = {name: index for index, node in enumerate(nodes) for name in node.output}
        needed, order, opened = set(outputs), list[int](), set[int]()
        done: set[int] = set()
        in_order = True
        open_ = [producers[name] for name in outputs if name in producers]
        while open_:
            index = open_[-1]
            reads = set() if index in done else _reads(nodes[index])
            waiting = [producers[name] for name in reads if name in producers and producers[name] not in done]
            if not waiting:
                open_.pop()
                order += [] if index in done else [index]
                done.add(index)
            elif index in opened:
                raise AdoptionError(self.path, f"expected a graph without cycles, found one at {nodes[index].name!r}")
            else:
                in_order = in_order and max(waiting) < index
                opened.add(index)
                open_ += waiting
            needed |= reads
        return (sorted(order) if in_order else order), needed

    def _output_as_float32(self, name: str) -> str:
        """Free the name of an output for other numbers. Returns the name of its present numbers, in float32."""
        import onnx

        values = self._rename(name)
        if self.outputs[name].dtype == "float32":
            return values
        cast = self._new()
        self._graph.node.append(onnx.helper.make_node("Cast", [values], [cast], to=onnx.TensorProto.FLOAT))
        return cast

    def _rename(self, name: str) -> str:
        """Rename a tensor within the nodes. Returns the new name."""
        new = self._new()
        for node in _nodes(self._graph):
            _rename_in(node.input, name, new)
            _rename_in(node.output, name, new)
        return new

    def _constant(self, name: str, value: Any) -> None:
        import onnx

        self._graph.initializer.append(onnx.numpy_helper.from_array(value, name))

    def _new(self) -> str:
        """A name that no tensor of the graph has."""
        self._made += 1
        return f"fastsam_trt/{self._made}"


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes, with those in the bodies of nodes such as If."""
    for node in graph.node:
        yield node
        for body in _bodies(node):
            yield from _nodes(body)


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _reads(node: onnx.NodeProto) -> set[str]:
    """Names of the tensors that a node and its bodies read; tensors of the bodies themselves may be among them."""
    names = set(node.input)
    for body in _bodies(node):
        names.update(port.name for port in body.output)
        for inner in body.node:
            names |= _reads(inner)
    return names - {""}


def _drop(field: Any, indices: Iterable[int]) -> None:
    """Delete elements of a repeated field; assigning the others would copy gigabytes of weights."""
    for index in sorted(indices, reverse=True):
        del field[index]


def _rename_in(names: Any, old: str, new: str) -> None:
    for index, name in enumerate(names):
        if name == old:
            names[index] = new


def _element_type(dtype: str) -> int:
    import onnx

    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
