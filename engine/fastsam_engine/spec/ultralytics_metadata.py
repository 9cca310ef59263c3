"""Make the spec of a file that ultralytics exported, from its metadata.

Keys and meanings are those of ultralytics (docs.ultralytics.com, Export). Values are `str(value)`; they are read as
Python literals and never evaluated.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from fastsam_engine.errors import ModelFileError
from fastsam_engine.spec.json_reader import shown
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec, Precision, Source
from fastsam_engine.spec.yolo_seg import (
    detections_output,
    end_to_end_output,
    is_fastsam,
    letterbox_input,
    prototypes_output,
    thresholds,
)

_MOST_CHARS = 1 << 20  # per value; enough for tens of thousands of class names
_MOST_PX = 1 << 15


def is_ultralytics(metadata: Mapping[str, str]) -> bool:
    """Whether ultralytics wrote the metadata."""
    return {"task", "stride", "names", "imgsz"} <= metadata.keys()


def read_spec(path: Path, metadata: Mapping[str, str]) -> ModelSpec:
    """Make the spec of an ONNX file exported by `yolo export format=onnx`.

    Args:
        path: The file, for its name and for messages.
        metadata: Its metadata.

    Raises:
        ModelFileError: It is not a segmenter, or the metadata does not describe it fully.
    """
    if metadata["task"] != "segment":
        raise ModelFileError(
            path,
            f"expected a segmenter, found an ultralytics model of task {shown(metadata['task'])}",
            "use a model whose name ends in -seg",
        )
    names = _literal(path, metadata, "names")
    size = _literal(path, metadata, "imgsz")
    arguments = _literal(path, metadata, "args") if "args" in metadata else {}
    if not isinstance(names, dict) or not isinstance(size, list) or len(size) != 2 or not isinstance(arguments, dict):
        raise ModelFileError(path, "expected ultralytics' metadata, found names, imgsz or args of another shape")
    channels = _literal(path, metadata, "channels", default=3)
    if channels != 3:
        raise ModelFileError(path, f"expected 3 colour channels, found {shown(channels)}")
    # Detections after NMS in the graph look like those of a head that needs no NMS.
    end_to_end = bool(_literal(path, metadata, "end2end", default=False) or arguments.get("nms"))
    height, width = (_number(path, "imgsz", each) for each in size)
    stride = _number(path, "stride", _literal(path, metadata, "stride"))
    dynamic = bool(arguments.get("dynamic"))
    precision = _precision(arguments)
    batch = _number(path, "batch", _literal(path, metadata, "batch", default=1))
    image: ImageInput = letterbox_input(
        height=height,
        width=width,
        size_multiple=stride if dynamic else None,
        batch=(1, None) if dynamic else (batch, batch),
        dtype="float16" if precision == "fp16" else "float32",
    )
    classes = _classes(path, names)
    fastsam = is_fastsam(classes, path.stem, metadata.get("description", ""))
    return ModelSpec(
        name=path.stem,
        family="yolo-end2end" if end_to_end else "yolo-seg",
        task="segment",
        input=image,
        outputs=(end_to_end_output() if end_to_end else detections_output(len(classes)), prototypes_output()),
        class_names=classes,
        class_agnostic=fastsam,
        defaults=thresholds(fastsam=fastsam, nms=not end_to_end),
        precision=precision,
        source=Source(
            metadata.get("description", path.name),
            versions={"ultralytics": metadata.get("version", "unknown")},
            licence=metadata.get("license", ""),
        ),
    )


def _precision(arguments: Mapping[str, object]) -> Precision:
    """Of the weights: `half` of older versions, or `quantize`, the number of bits, of newer ones."""
    bits = str(arguments.get("quantize") or 32)
    if arguments.get("int8") or bits == "8" or bits.startswith("w8"):
        return "int8"
    return "fp16" if arguments.get("half") or bits == "16" else "fp32"


def _literal(path: Path, metadata: Mapping[str, str], key: str, default: Any = None) -> Any:
    if key not in metadata:
        return default
    text = metadata[key]
    if len(text) > _MOST_CHARS:
        raise ModelFileError(path, f"expected at most {_MOST_CHARS} characters under {key!r}, found {len(text)}")
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ModelFileError(path, f"expected a literal under {key!r}, found {shown(text)}") from error


def _number(path: Path, key: str, found: object) -> int:
    """A count or a length in pixels; ultralytics writes some of them as floats."""
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    if not is_number or not 1 <= cast("float", found) <= _MOST_PX or found != int(cast("float", found)):
        raise ModelFileError(path, f"expected a whole number of 1 to {_MOST_PX} under {key!r}, found {shown(found)}")
    return int(cast("float", found))


def _classes(path: Path, names: dict[object, object]) -> tuple[str, ...]:
    """The names in the order of their ids, which are strings in .engine files, since these store JSON."""
    by_id = {str(key): name for key, name in names.items() if isinstance(key, int | str)}
    ordered = [by_id.get(str(index)) for index in range(len(names))]
    if not ordered or not all(isinstance(name, str | int | float) for name in ordered):
        raise ModelFileError(
            path, f"expected a name for each of the ids 0 to n - 1 under 'names', found {shown(names)}"
        )
    try:
        return tuple(str(name).encode().decode() for name in ordered)
    except ValueError as error:
        raise ModelFileError(path, f"expected names in Unicode under 'names', found {shown(names)}") from error
