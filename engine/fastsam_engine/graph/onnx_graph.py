"""Read an ONNX graph's inputs, outputs and weight files without loading it."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

from fastsam_engine.errors import ModelFileError
from fastsam_engine.graph.protobuf import fields, varint, within

Axes = tuple[int | str, ...]
"""Per axis its length or, if it is free, its symbol, which may be empty."""

_GRAPH = 7  # of ModelProto
_INITIALIZER, _INPUT, _OUTPUT = 5, 11, 12  # of GraphProto
_TENSOR_NAME, _EXTERNAL_DATA = 8, 13  # of TensorProto
_KEY, _VALUE = 1, 2  # of StringStringEntryProto
_NAME, _TYPE, _TENSOR_TYPE = 1, 2, 1  # path from a ValueInfoProto to its tensor
_ELEMENT, _SHAPE, _DIM = 1, 2, 1  # of TypeProto.Tensor, and of TensorShapeProto
_LENGTH, _SYMBOL = 1, 2  # of a Dimension
_FIRST_NEGATIVE = 1 << 63  # of int64 in protobuf's encoding
_DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output.

    Attributes:
        dtype: Its dtype; `unknown` if the file does not tell.
        axes: Its axes; None if the file does not tell.
    """

    dtype: str
    axes: Axes | None


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """Inputs, outputs and weight files of a graph.

    Attributes:
        inputs: By name, in order, without those that have a value in the file.
        outputs: By name, in order.
        external: Weight files beside the ONNX file, as it names them.
    """

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    external: tuple[str, ...]

    @property
    def input_axes(self) -> dict[str, Axes]:
        """Input name to axes, where these are known."""
        return {name: tensor.axes for name, tensor in self.inputs.items() if tensor.axes is not None}


def read_graph(path: Path) -> OnnxGraph:
    """Read the graph of an ONNX file that `read_metadata` can read.

    Raises:
        ModelFileError: The graph can't be read.
    """
    inputs: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}
    valued: set[str] = set()
    external: dict[str, None] = {}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            for start, stop in within(data, (0, len(data)), _GRAPH):
                for field, begin, end in fields(data, start, stop):
                    if field in (_INPUT, _OUTPUT):
                        name, tensor = _tensor(data, begin, end)
                        (inputs if field == _INPUT else outputs)[name] = tensor
                    elif field == _INITIALIZER:
                        name, location = _initializer(data, begin, end)
                        valued.add(name)
                        external |= {location: None} if location else {}
        except (ValueError, UnicodeDecodeError) as error:
            raise ModelFileError(
                path, f"expected a graph with inputs, found one that can't be read ({error})"
            ) from error
    return OnnxGraph({name: each for name, each in inputs.items() if name not in valued}, outputs, tuple(external))


def _initializer(data: mmap.mmap, start: int, stop: int) -> tuple[str, str]:
    """Name of a weight, and its external file; empty if it is in the ONNX file."""
    name = location = ""
    for field, begin, end in fields(data, start, stop):
        if field == _TENSOR_NAME:
            name = data[begin:end].decode()
        elif field == _EXTERNAL_DATA:
            entry = {number: data[a:b].decode() for number, a, b in fields(data, begin, end)}
            location = entry.get(_VALUE, "") if entry.get(_KEY) == "location" else location
    return name, location


def _tensor(data: mmap.mmap, start: int, stop: int) -> tuple[str, Tensor]:
    names = [data[a:b].decode() for a, b in within(data, (start, stop), _NAME)]
    dtype, axes = "unknown", None
    for span in within(data, (start, stop), _TYPE, _TENSOR_TYPE):
        for field, begin, end in fields(data, *span):
            if field == _ELEMENT:
                dtype = _DTYPES.get(varint(data, begin, end)[0], "unknown")
            elif field == _SHAPE:
                axes = tuple(_axis(data, *dim) for dim in within(data, (begin, end), _DIM))
    return names[0] if names else "", Tensor(dtype, axes)


def _axis(data: mmap.mmap, start: int, stop: int) -> int | str:
    for number, begin, end in fields(data, start, stop):
        if number == _LENGTH:
            length = varint(data, begin, end)[0]
            return length if length < _FIRST_NEGATIVE else ""  # some exporters write -1 for a free axis
        if number == _SYMBOL:
            return data[begin:end].decode()
    return ""
