"""A repository to pull, and what stands in for adoption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastsam_export.adopt.adopted_from import AdoptedFrom
from fastsam_export.family import Exported
from support import colour_models

REPOSITORY = "some/model"
FILE = "onnx/model.onnx"
CONTENT = b"\x08\x0a" + bytes(range(256)) * 2000  # half a megabyte that begins as ONNX files do
FILES = {
    FILE: CONTENT,
    "onnx/model_fp16.onnx": CONTENT[:2000],
    "onnx/model.onnx_data": b"weights" * 1000,
    "config.json": b'{"model_type": "x"}',
    "preprocessor_config.json": b"{ }",
    "README.md": b"not needed",
    "pytorch_model.bin": b"not needed either",
}


class Adopter:
    """In place of `adopt`: notes how it was called, and writes an exact model.

    Attributes:
        calls: The arguments of each call.
        files: What the last call was given, by path.
        error: Raised after the model is written.
    """

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.error: BaseException | None = None

    def __call__(self, folder: Path, *, out: Path, name: str, source: AdoptedFrom, **options: Any) -> list[Exported]:
        self.calls.append({"name": name, "source": source, **options})
        found = [path for path in folder.rglob("*") if path.is_file()]
        self.files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
        spec = colour_models.segmenter_spec(name)
        path = colour_models.save(colour_models.segmenter_graph(), out / f"{name}.onnx", spec)
        if self.error:
            raise self.error
        return [Exported(path, spec)]


def files_below(home: Path) -> dict[str, bytes]:
    """Everything in a home folder but locks."""
    found = [path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in found}
