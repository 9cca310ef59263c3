"""Adopt the files of a hub's repository: recognise the model, write its spec, prove it, install it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from fastsam_engine.errors import OutputError, PackagesMissingError
from fastsam_engine.packages import version
from fastsam_export.adopt.adopted_from import AdoptedFrom
from fastsam_export.adopt.hub_files import AdoptedPrecision
from fastsam_export.adopt.ready_family import AdoptionRequest, ReadyFamily, ready_families
from fastsam_export.adopt.repository import Repository
from fastsam_export.errors import AdoptionError
from fastsam_export.family import Exported
from fastsam_export.installation import install


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

    This needs no PyTorch: the adopted graph is compared with the original one, on every backend of this machine's CPU.

    Args:
        folder: Files of one repository in its own layout: that of transformers.js (`config.json`,
            `preprocessor_config.json`, `tokenizer.json`, `tokenizer_config.json`, and `onnx/model.onnx` or
            `onnx/vision_model.onnx` and `onnx/text_model.onnx`), or one ONNX file of ultralytics. Nothing in it is
            changed. `hub_files.wanted_files` chooses what to download.
        name: Short name of the model.
        out: Folder for the files. Earlier files stay untouched if this fails.
        precision: Which of the siblings to use: `model.onnx`, `model_fp16.onnx` or `model_quantized.onnx`. A single
            file must have this precision.
        source: Where the files come from; its `file` chooses among several single files.
        imgsz: (height, width) of the default input, px; only for segmenters whose graph leaves it open. None: as the
            repository states.
        step: Called with a short description when a step begins.

    Returns:
        The installed files, each with its spec, the first graph first. If a segmenter was not cut into graphs that
        compute only what can be selected, although its family can be, its `kept_whole` says why.

    Raises:
        AdoptionError: The files are of another task or family, are incomplete, or need preprocessing that the runtime
            can't do exactly.
        ModelFileError: A file is truncated or no ONNX file, or a model of ultralytics for another task.
        ParityError: The adopted graph computes something else than the original.
        PackagesMissingError: The package onnx is not installed.
        OutputError: `out` is a file.
    """
    if precision not in get_args(AdoptedPrecision):
        raise AdoptionError(
            folder, f"expected precision {' or '.join(get_args(AdoptedPrecision))}, found {precision!r}"
        )
    if Path(name).name != name or name in ("", ".."):
        raise AdoptionError(folder, f"expected a short name for the model, found {name!r}", "give another name")
    if out.exists() and not out.is_dir():
        raise OutputError(out, "expected a folder, found a file")
    if not version("onnx"):
        raise PackagesMissingError(["onnx"], "cpu,hub")
    step("recognising the model")
    repository = Repository.of(folder, precision, source.file)
    family = _family(repository)
    request = AdoptionRequest(name, precision, source, imgsz)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adopt-", dir=out.parent) as staging:
        files = family.adopt(repository, request, Path(staging), step)
        step("installing the files")
        return install(files, out)


def _family(repository: Repository) -> ReadyFamily:
    families = ready_families()
    for family in families:
        if family.recognises(repository):
            return family
    found = (
        f"a model of type {repository.model_type!r}" if repository.config else "neither config.json nor its metadata"
    )
    if repository.architectures:
        found += f" ({', '.join(repository.architectures)})"
    expected = ", ".join(sorted(family.description for family in families))
    raise AdoptionError(repository.folder, f"expected {expected}; found {found}")
