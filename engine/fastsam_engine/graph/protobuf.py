"""Walk over protobuf messages, such as ONNX files, by field numbers, skipping other fields."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


def fields(data: mmap.mmap, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield (field number, start, stop) of each field between two offsets of a protobuf message.

    Raises:
        ValueError: The data is truncated or not a protobuf message.
    """
    at = start
    while at < stop:
        tag, at = varint(data, at, stop)
        wire_type = tag & 7
        if wire_type == _VARINT:
            begin = at
            _, at = varint(data, at, stop)
        elif wire_type in (_FIXED64, _FIXED32):
            begin, at = at, at + (8 if wire_type == _FIXED64 else 4)
        elif wire_type == _BYTES:
            length, begin = varint(data, at, stop)
            at = begin + length
        else:
            raise ValueError(f"wire type {wire_type} at byte {at}")
        if at > stop:
            raise ValueError(f"{at - stop} bytes are missing")
        yield tag >> 3, begin, at


def varint(data: mmap.mmap, at: int, stop: int) -> tuple[int, int]:
    """Read a base-128 number. Returns its value and the offset after it.

    Raises:
        ValueError: It is incomplete.
    """
    value = shift = 0
    while at < stop and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError(f"an incomplete number at byte {at}")


def within(data: mmap.mmap, span: tuple[int, int], field: int, *deeper: int) -> Iterator[tuple[int, int]]:
    """Yield start and stop of each field that a path of field numbers leads to."""
    for number, start, stop in fields(data, *span):
        if number == field and deeper:
            yield from within(data, (start, stop), *deeper)
        elif number == field:
            yield start, stop
