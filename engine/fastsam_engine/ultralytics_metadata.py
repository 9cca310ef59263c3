"""ModelSpec of a file that ultralytics itself exported, from its metadata, where that is enough.

The keys and their meaning are ultralytics' (docs.ultralytics.com, Export); values are `str(value)`, so they are read
as Python literals, never evaluated.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastsam_engine.errors import ModelFileError
from fastsam_engine.model_spec import ImageInput, ModelSpec, Source
from fastsam_engine.yolo_seg import (
    detections_output,
    end_to_end_output,
    is_fastsam,
    letterbox_input,
    prototypes_output,
    thresholds,
)


def is_ultralytics(metadata: Mapping[str, str]) -> bool:
    """Whether the metadata is of ultralytics' making."""
    return {"task", "stride", "names", "imgsz"} <= metadata.keys()


def read_spec(path: Path, metadata: Mapping[str, str]) -> ModelSpec:
    """Make the spec of an ONNX file exported by `yolo export format=onnx`.

    Args:
        path: The file, for its name and for messages.
        metadata: Its metadata.

    Raises:
        ModelFileError: It is no segmenter, or of a kind that the metadata does not describe fully.
    """
    if metadata["task"] != "segment":
        raise ModelFileError(
            path,
            f"expected a segmenter, found an ultralytics model of task {metadata['task']!r}",
            "use a model whose name ends in -seg",
        )
    names = _literal(path, metadata, "names")
    size = _literal(path, metadata, "imgsz")
    arguments = _literal(path, metadata, "args") if "args" in metadata else {}
    if not isinstance(names, dict) or not isinstance(size, list) or len(size) != 2 or not isinstance(arguments, dict):
        raise ModelFileError(path, "expected ultralytics' metadata, found names, imgsz or args of another shape")
    if _literal(path, metadata, "channels", default=3) != 3:
        raise ModelFileError(path, f"expected 3 colour channels, found {metadata['channels']}")
    # Detections after NMS in the graph look as those of a head that needs none
    end_to_end = bool(_literal(path, metadata, "end2end", default=False) or arguments.get("nms"))
    stride = int(_literal(path, metadata, "stride"))
    dynamic = bool(arguments.get("dynamic"))
    batch = int(_literal(path, metadata, "batch", default=1))
    image: ImageInput = letterbox_input(
        height=int(size[0]),
        width=int(size[1]),
        size_multiple=stride if dynamic else None,
        batch=(1, None) if dynamic else (batch, batch),
        dtype="float16" if arguments.get("half") else "float32",
    )
    classes = tuple(str(names[i]) for i in sorted(names, key=int))  # text in .engine files, where they were JSON
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
        precision="fp16" if arguments.get("half") else "fp32",
        source=Source(
            metadata.get("description", path.name),
            versions={"ultralytics": metadata.get("version", "unknown")},
            licence=metadata.get("license", ""),
        ),
    )


def _literal(path: Path, metadata: Mapping[str, str], key: str, default: Any = None) -> Any:
    if key not in metadata:
        return default
    try:
        return ast.literal_eval(metadata[key])
    except (ValueError, SyntaxError) as error:
        raise ModelFileError(path, f"expected a literal under {key!r}, found {metadata[key]!r}") from error
