"""Read weights that are outside their ONNX file.

They may be behind the links of a hub's cache, which the package onnx refuses to follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fastsam_engine.errors import ModelFileError, one_line
from fastsam_export.errors import AdoptionError

if TYPE_CHECKING:
    import onnx


def check_weights_beside(path: Path, locations: Iterable[str]) -> None:
    """Check that an ONNX file has its weights beside it.

    Args:
        path: The ONNX file.
        locations: The files of its weights, as it names them.

    Raises:
        AdoptionError: They are elsewhere.
        ModelFileError: They are missing.
    """
    for location in locations:
        if Path(location).is_absolute() or ".." in Path(location).parts:
            raise AdoptionError(path, f"expected its weights beside it, found them in {location}")
        if not (path.parent / location).is_file():
            raise ModelFileError(
                path, f"expected its weights in {location} beside it, found no such file", "download that file, too"
            )


def read_weights(model: onnx.ModelProto, folder: Path) -> None:
    """Read the weights of a model into it.

    Args:
        model: The model, whose weights are beside it.
        folder: Its folder.

    Raises:
        ModelFileError: A file of weights is cut short.
    """
    import onnx

    for tensor in _tensors(model.graph):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        stated = {entry.key: entry.value for entry in tensor.external_data}
        path = folder / stated.get("location", "")
        try:
            data = _read(path, stated)
        except (OSError, ValueError) as error:
            place = f"from byte {stated.get('offset', 0)}, {stated.get('length', 'all')} bytes"
            raise ModelFileError(
                path, f"expected {tensor.name!r} {place}, found {one_line(error)}", "download it again"
            ) from error
        tensor.raw_data = data
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _read(path: Path, stated: Mapping[str, str]) -> bytes:
    """A stretch of a file, by the `offset` and `length` that are stated of it.

    Raises:
        ValueError: The file has no such stretch.
    """
    size, offset = path.stat().st_size, int(stated.get("offset", 0))
    length = int(stated["length"]) if "length" in stated else size - offset
    if not 0 <= offset <= offset + length <= size:
        raise ValueError(f"{size} bytes")
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """All weights and constants, with those in the bodies of nodes such as If."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (*([attribute.t] if attribute.HasField("t") else ()), *attribute.tensors)
            for body in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _tensors(body)
