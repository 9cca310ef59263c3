"""What an ONNX file's graph takes and gives, and the files that hold its weights, read without loading it."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

from fastsam_engine.errors import ModelFileError
from fastsam_engine.graph.protobuf import fields, varint, within

Axes = tuple[int | str, ...]
"""Lengths, or the symbol of one that is not fixed, which may be empty."""

_GRAPH = 7  # of ModelProto
_INITIALIZER, _INPUT, _OUTPUT = 5, 11, 12  # of GraphProto
_TENSOR_NAME, _EXTERNAL_DATA = 8, 13  # of TensorProto
_KEY, _VALUE = 1, 2  # of StringStringEntryProto
_NAME, _TYPE, _TENSOR_TYPE = 1, 2, 1  # the way from a ValueInfoProto to its tensor
_ELEMENT, _SHAPE, _DIM = 1, 2, 1  # of TypeProto.Tensor, and of TensorShapeProto
_LENGTH, _SYMBOL = 1, 2  # of a Dimension
_FIRST_NEGATIVE = 1 << 63  # of int64 as protobuf writes it
_DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output.

    Attributes:
        dtype: Its dtype; `unknown` where the file does not say.
        axes: Its axes; None where the file does not say.
    """

    dtype: str
    axes: Axes | None


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """What a graph takes and gives.

    Attributes:
        inputs: By name, in order, without those that have a value in the file.
        outputs: By name, in order.
        external: The files beside it that hold its weights, as it names them.
    """

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    external: tuple[str, ...]

    @property
    def input_axes(self) -> dict[str, Axes]:
        """Input name to its axes, those that are known."""
        return {name: tensor.axes for name, tensor in self.inputs.items() if tensor.axes is not None}


def read_graph(path: Path) -> OnnxGraph:
    """Read what the graph of an ONNX file that `read_metadata` can read takes and gives.

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
    """Name of a weight, and the file that holds it; empty where this one does."""
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
            return length if length < _FIRST_NEGATIVE else ""  # some exporters say -1 of what is not fixed
        if number == _SYMBOL:
            return data[begin:end].decode()
    return ""
