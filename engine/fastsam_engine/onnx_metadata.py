"""The metadata of an ONNX file and the axes of its inputs, read without loading its graph.

An ONNX file is one protobuf message (`ModelProto` of onnx.proto3). Only its top levels are walked: weights, which may
be gigabytes, are stepped over by their length. This needs neither the `onnx` package nor a backend.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from fastsam_engine.errors import ModelFileError

_GRAPH, _METADATA_PROPS = 7, 14  # field numbers of ModelProto
_INPUT = 11  # of GraphProto
_NAME, _TYPE, _TENSOR_TYPE, _SHAPE, _DIM = 1, 2, 1, 2, 1  # the way from a ValueInfoProto to its axes
_LENGTH, _SYMBOL = 1, 2  # of a Dimension
_KEY, _VALUE = 1, 2  # field numbers of StringStringEntryProto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf wire types


def read_metadata(path: Path) -> dict[str, str]:
    """Read the `metadata_props` of an ONNX file.

    Args:
        path: An ONNX file.

    Returns:
        Key to value, both text.

    Raises:
        ModelFileError: The file is empty, cut short, or no ONNX model.
    """
    if path.stat().st_size == 0:
        raise ModelFileError(path, "expected an ONNX model, found an empty file")
    metadata: dict[str, str] = {}
    has_graph = False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            for field, start, stop in _fields(data, 0, len(data)):
                has_graph = has_graph or field == _GRAPH
                if field == _METADATA_PROPS:
                    entry = {number: data[a:b] for number, a, b in _fields(data, start, stop)}
                    metadata[entry.get(_KEY, b"").decode()] = entry.get(_VALUE, b"").decode()
        except (ValueError, UnicodeDecodeError) as error:
            raise ModelFileError(
                path, f"expected an ONNX model, found a file that is cut short or no ONNX ({error})"
            ) from error
    if not has_graph:
        raise ModelFileError(path, "expected an ONNX model, found no graph in it")
    return metadata


def read_input_axes(path: Path) -> dict[str, tuple[int | str, ...]]:
    """Read the axes of the inputs of an ONNX file that `read_metadata` can read.

    Returns:
        Input name to its axes: a length, or the symbol of one that is not fixed, which may be empty.

    Raises:
        ModelFileError: The graph can't be read.
    """
    inputs: dict[str, tuple[int | str, ...]] = {}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            for start, stop in _within(data, (0, len(data)), _GRAPH, _INPUT):
                names = [data[a:b].decode() for a, b in _within(data, (start, stop), _NAME)]
                dims = _within(data, (start, stop), _TYPE, _TENSOR_TYPE, _SHAPE, _DIM)
                inputs[names[0] if names else ""] = tuple(_axis(data, *dim) for dim in dims)
        except (ValueError, UnicodeDecodeError) as error:
            raise ModelFileError(
                path, f"expected a graph with inputs, found one that can't be read ({error})"
            ) from error
    return inputs


def _within(data: mmap.mmap, span: tuple[int, int], field: int, *deeper: int) -> Iterator[tuple[int, int]]:
    """Yield start and stop of each field that a path of field numbers leads to."""
    for number, start, stop in _fields(data, *span):
        if number == field and deeper:
            yield from _within(data, (start, stop), *deeper)
        elif number == field:
            yield start, stop


def _axis(data: mmap.mmap, start: int, stop: int) -> int | str:
    for number, begin, end in _fields(data, start, stop):
        if number == _LENGTH:
            return _varint(data, begin, end)[0]
        if number == _SYMBOL:
            return data[begin:end].decode()
    return ""


def _fields(data: mmap.mmap, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield (field number, start, stop) of each field between two offsets of a protobuf message."""
    at = start
    while at < stop:
        tag, at = _varint(data, at, stop)
        wire_type = tag & 7
        if wire_type == _VARINT:
            begin = at
            _, at = _varint(data, at, stop)
        elif wire_type in (_FIXED64, _FIXED32):
            begin, at = at, at + (8 if wire_type == _FIXED64 else 4)
        elif wire_type == _BYTES:
            length, begin = _varint(data, at, stop)
            at = begin + length
        else:
            raise ValueError(f"wire type {wire_type} at byte {at}")
        if at > stop:
            raise ValueError(f"{at - stop} bytes are missing")
        yield tag >> 3, begin, at


def _varint(data: mmap.mmap, at: int, stop: int) -> tuple[int, int]:
    """Read a base-128 number: its value and the offset behind it."""
    value = shift = 0
    while at < stop and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError(f"a number breaks off at byte {at}")
