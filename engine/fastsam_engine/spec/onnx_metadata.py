"""Read the metadata of an ONNX file without loading its graph.

An ONNX file is one protobuf message (`ModelProto` of onnx.proto3). Only its top levels are read; weights, which may be
gigabytes, are skipped by their length. This needs neither the package `onnx` nor a backend.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from fastsam_engine.errors import ModelFileError
from fastsam_engine.graph.protobuf import fields

_GRAPH, _METADATA_PROPS = 7, 14  # field numbers of ModelProto
_KEY, _VALUE = 1, 2  # field numbers of StringStringEntryProto


def read_metadata(path: Path) -> dict[str, str]:
    """Read the `metadata_props` of an ONNX file.

    Args:
        path: An ONNX file.

    Returns:
        Key to value.

    Raises:
        ModelFileError: The file is empty, cut short, or not an ONNX model.
    """
    if path.stat().st_size == 0:
        raise ModelFileError(path, "expected an ONNX model, found an empty file")
    metadata: dict[str, str] = {}
    has_graph = False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            for field, start, stop in fields(data, 0, len(data)):
                has_graph = has_graph or field == _GRAPH
                if field == _METADATA_PROPS:
                    entry = {number: data[a:b] for number, a, b in fields(data, start, stop)}
                    metadata[entry.get(_KEY, b"").decode()] = entry.get(_VALUE, b"").decode()
        except (ValueError, UnicodeDecodeError) as error:
            raise ModelFileError(
                path, f"expected an ONNX model, found a file that is cut short or no ONNX ({error})"
            ) from error
    if not has_graph:
        raise ModelFileError(path, "expected an ONNX model, found no graph in it")
    return metadata
