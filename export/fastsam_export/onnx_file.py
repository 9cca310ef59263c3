"""Write the spec into an ONNX file, hash weights, and list package versions."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import BinaryIO

from fastsam_engine.graph.protobuf import fields
from fastsam_engine.spec.model_spec import METADATA_KEY, ModelSpec
from fastsam_engine.spec.onnx_metadata import read_metadata
from fastsam_engine.store.atomic_files import part_path

_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2  # field numbers of ModelProto and of StringStringEntryProto
_LENGTH_DELIMITED = 2  # wire type
_BLOCK = 1 << 20


def write_spec(path: Path, spec: ModelSpec, source: Path | None = None) -> None:
    """Write a spec into the metadata of an ONNX file, replacing an earlier one.

    The graph, which may be gigabytes, is copied without parsing it. External weights stay where they are.

    Args:
        path: The file to write.
        spec: The spec.
        source: The file to read the graph and the other metadata from; None: `path`.
    """
    source = source or path
    kept = {**read_metadata(source), METADATA_KEY: spec.to_json()}
    part = part_path(path)
    try:
        with source.open("rb") as file, part.open("wb") as written:
            for start, stop in _spans_without_metadata(source):
                _copy(file, written, start, stop)
            for key, value in kept.items():
                entry = _field(_KEY, key.encode()) + _field(_VALUE, value.encode())
                written.write(_field(_METADATA_PROPS, entry))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """SHA-256 of a file, or of the weights files of a folder in order of their names; empty if there are none."""
    files = (
        [path] if path.is_file() else sorted(each for each in path.glob("*") if each.suffix in (".safetensors", ".bin"))
    )
    digest = hashlib.sha256()
    for each in files:
        with each.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest() if files else ""


def versions(*packages: str) -> dict[str, str]:
    """Versions of the packages that take part in an export from PyTorch."""
    return {package: metadata.version(package) for package in ("fastsam-trt", "torch", "onnx", *packages)}


def _spans_without_metadata(path: Path) -> Iterator[tuple[int, int]]:
    """Start and stop of the stretches of an ONNX file that are no entries of its metadata."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        before = 0
        for number, _, stop in fields(data, 0, len(data)):
            if number != _METADATA_PROPS:
                yield before, stop
            before = stop


def _copy(source: BinaryIO, target: BinaryIO, start: int, stop: int) -> None:
    source.seek(start)
    while block := source.read(min(_BLOCK, stop - start)):
        target.write(block)
        start += len(block)


def _field(number: int, value: bytes) -> bytes:
    """A field of a protobuf message: its tag, the length of its value, and the value."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
