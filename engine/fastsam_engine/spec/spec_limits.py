"""Check that the values of a spec are plausible: sizes, counts and names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from fastsam_engine.spec.json_reader import shown
from fastsam_engine.spec.model_input import ArraysInput, FeatureInput, ImageInput, TokenInput
from fastsam_engine.spec.model_spec import ModelSpec

_MOST_SIDE_PX = 1 << 15
_MOST = 1 << 24  # images per batch, tokens per text, elements per axis
_MOST_NAME_CHARS = 255
_MOST_CELLS = 1 << 8  # around a cell
_AXIS = re.compile(r"[0-9]{1,9}(\+[0-9]{1,9})*|([0-9]{1,9}\*)?[A-Za-z_][A-Za-z0-9_/+*-]*", re.ASCII)
_DETECTIONS = re.compile(r"\S+ 4\+([0-9]+)\+[0-9]+ \S+")
_EXPORT_ID = re.compile(r"([0-9a-f]{64})?", re.ASCII)
_SCORES = {"conf": (0.0, 1.0), "iou": (0.0, 1.0), "max_segments": (1.0, float(_MOST))}
_REACH = {"reach_cells": (0.0, float(_MOST_CELLS))}
_PART = {**_REACH, "margin_cells": (0.0, float(_MOST_CELLS)), "prototypes_per_cell": (1.0, float(_MOST_CELLS))}


def check_spec(spec: ModelSpec) -> None:
    """Refuse a spec that no export would write.

    Raises:
        ValueError: A number is out of range, names are missing or repeated, or lists differ in length.
    """
    _check_name(spec.name)
    if not _EXPORT_ID.fullmatch(spec.export_id):
        raise ValueError(f"export_id: expected 64 hexadecimal digits, found {shown(spec.export_id)}")
    taken = spec.input
    if isinstance(taken, ImageInput):
        _check_image(taken)
    elif isinstance(taken, TokenInput):
        _in_range("input.length", taken.length, 1, _MOST)
        _in_range("input.pad_id", taken.pad_id, 0, 1 << 31)
    else:
        _check_arrays(taken)
    if isinstance(taken, ImageInput | TokenInput):
        low, high = taken.batch
        _in_range("input.batch", low, 1, _MOST)
        _in_range("input.batch", low if high is None else high, low, _MOST)
    if not spec.outputs:
        raise ValueError("outputs: expected one or more, found none")
    _check_names("input", spec.input_names)
    _check_names("outputs", (output.name for output in spec.outputs))
    for output in spec.outputs:
        _check_layout(f"outputs.{shown(output.name)}", output.layout)
        detections = _DETECTIONS.fullmatch(output.layout) if output.meaning == "yolo-detections" else None
        if detections and int(detections[1]) != len(spec.class_names):
            raise ValueError(
                f"class_names: expected {detections[1]}, as in {output.layout}, found {len(spec.class_names)}"
            )
    _check_defaults(spec)


def _check_name(name: str) -> None:
    """Check a name, which is also part of file names."""
    if not 0 < len(name) <= _MOST_NAME_CHARS or not name.isprintable() or set(name) & set("/\\") or name in (".", ".."):
        raise ValueError(f"name: expected a name that a file can have, found {shown(name)}")


def _check_names(where: str, names: Iterable[str]) -> None:
    found = list(names)
    if not all(found) or len(set(found)) < len(found):
        raise ValueError(f"{where}: expected a different name for each, found {shown(found)}")


def _check_image(image: ImageInput) -> None:
    _in_range("input.height", image.height, 1, _MOST_SIDE_PX)
    _in_range("input.width", image.width, 1, _MOST_SIDE_PX)
    _in_range("input.pad_value", image.pad_value, 0, 255)
    if image.size_multiple is not None:
        _in_range("input.size_multiple", image.size_multiple, 1, min(image.height, image.width))
        if image.height % image.size_multiple or image.width % image.size_multiple:
            size = f"{image.height} x {image.width}"
            raise ValueError(f"input: expected a size of multiples of {image.size_multiple}, found {size}")
    if len(image.mean) != 3 or len(image.std) != 3:
        raise ValueError(f"input: expected mean and std of 3 channels, found {len(image.mean)} and {len(image.std)}")
    if image.scale <= 0 or min(image.std) <= 0:
        raise ValueError(f"input: expected scale and std above 0, found {image.scale} and {min(image.std)}")


def _check_arrays(taken: FeatureInput | ArraysInput) -> None:
    counts = [len(taken.names), len(taken.layouts)]
    axes: Mapping[str, tuple[int, int, int]] = {"K": (1, 1, _MOST)}  # number of elements that another graph selected
    if isinstance(taken, ArraysInput):
        counts.append(len(taken.dtypes))
        axes = taken.axes
    if not taken.names or len(set(counts)) > 1:
        raise ValueError(f"input: expected a name, layout and dtype for each input, found {counts}")
    for axis, lengths in axes.items():
        for shorter, length in zip((1, *lengths), lengths, strict=False):
            _in_range(f"input.axes.{shown(axis)}", length, shorter, _MOST)
    for name, layout in zip(taken.names, taken.layouts, strict=True):
        _check_layout(f"input.{shown(name)}", layout)
        free = {axis for axis in layout.split() if not axis.isdigit()}
        if unknown := sorted(free - axes.keys()):
            raise ValueError(f"input.axes: expected a length of {shown(unknown[0])}, found none")


def _check_layout(where: str, layout: str) -> None:
    if wrong := [axis for axis in layout.split() if not _AXIS.fullmatch(axis)]:
        raise ValueError(f"{where}: expected axes such as N 4+80+32 H/4, found {shown(wrong[0])}")


def _check_defaults(spec: ModelSpec) -> None:
    needed: Mapping[str, tuple[float, float]] = {}
    if spec.task == "segment":
        needed = _SCORES
    elif spec.task == "heads":
        needed = _REACH
    elif spec.task == "masks" and isinstance(spec.input, ArraysInput):
        needed = _PART
    elif spec.task == "embed-image":
        needed = {"logit_scale": (0.0, 1e6)}
    for name, (low, high) in needed.items():
        if name not in spec.defaults:
            raise ValueError(f"defaults: expected {name}, found {shown(sorted(spec.defaults))}")
        _in_range(f"defaults.{name}", spec.defaults[name], low, high)


def _in_range(where: str, found: float, low: float, high: float) -> None:
    if not low <= found <= high:
        raise ValueError(f"{where}: expected {low:g} to {high:g}, found {shown(found)}")
