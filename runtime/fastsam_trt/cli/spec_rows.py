"""Describe the spec of a graph for people: a row per fact."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from fastsam_engine.rounding import round_with_bound
from fastsam_engine.spec.model_input import ArraysInput, FeatureInput
from fastsam_engine.spec.model_spec import ModelSpec, Parity
from fastsam_trt.sparse.crossing import rule

_NMS_FREE = "not needed, or in the graph: --iou has no effect, --conf can only raise the model's threshold"
_LISTED = 8  # class names that need no count

Rows = Iterator[tuple[str, str]]


def spec_rows(spec: ModelSpec) -> Rows:
    """The fields of a spec and what follows from them, as name and text."""
    document = {name: value for name, value in dataclasses.asdict(spec).items() if name not in ("outputs", "parity")}
    for name, value in document.items():
        if name == "source":
            yield "origin", _origin(spec)
        if name == "input" and isinstance(spec.input, ArraysInput | FeatureInput):
            yield from _array_rows(spec.input, with_axes=not spec.is_part)  # a part has an axis per level and purpose
        elif name == "class_names" and len(value) > _LISTED:
            yield name, f"{len(value)}: {', '.join(value)}"
        else:
            yield from fact_rows({name: value})
        if name == "input":
            yield from ((f"output {output.name}", f"{output.meaning} ({output.layout})") for output in spec.outputs)
        if name == "source" and spec.parity is not None:
            yield from _parity_rows(spec.parity)
    if spec.task == "segment" and spec.family in ("yolo-end2end", "yolo-end2end-sparse"):
        yield "NMS", _NMS_FREE
    if spec.task == "heads":
        yield "compute", rule(int(spec.defaults["reach_cells"]))


def _origin(spec: ModelSpec) -> str:
    """Whether the model was pulled ready-made or exported, and from where."""
    source = spec.source
    if source.is_adopted:
        return f"ready-made, pulled from {source.address}"
    return f"{'exported' if spec.parity else 'made by another tool'} from {source.model_id}"


def fact_rows(facts: Mapping[str, Any], prefix: str = "") -> Rows:
    """Flatten nested fields to dotted names and short texts."""
    for name, value in facts.items():
        if name == "versions":
            yield f"{prefix}{name}", ", ".join(f"{package} {version}" for package, version in value.items()) or "none"
        elif isinstance(value, Mapping):
            yield from fact_rows(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _text(value)


def _array_rows(arrays: ArraysInput | FeatureInput, *, with_axes: bool) -> Rows:
    dtypes = arrays.dtypes if isinstance(arrays, ArraysInput) else (arrays.dtype,) * len(arrays.names)
    for name, dtype, layout in zip(arrays.names, dtypes, arrays.layouts, strict=True):
        yield f"input {name}", f"{dtype} ({layout})"
    if isinstance(arrays, ArraysInput) and with_axes:
        for letter, (smallest, usual, largest) in arrays.axes.items():
            yield f"axis {letter}", f"{smallest} to {largest}, usually {usual}"


def _parity_rows(parity: Parity) -> Rows:
    yield "parity on", "; ".join(parity.inputs)
    for metric, worst in sorted(parity.worst.items()):
        value, bound = round_with_bound(worst, parity.tolerance[metric])
        yield f"parity {metric}", f"{value}, at {'least' if metric.startswith('min_') else 'most'} {bound}"


def _text(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join("any" if each is None else _text(each) for each in value) or "none"
    return str(value)
