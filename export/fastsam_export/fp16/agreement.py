"""What a user sees of a graph in fp16 and in fp32, by what its outputs mean, and how far apart it may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastsam_engine.session import Array
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_export.errors import ExportError
from fastsam_export.family import all_families
from fastsam_export.frameworks.ultralytics_models import UltralyticsFamily
from fastsam_export.parity import max_abs, max_rel, min_cosine

_YOLO = {
    "max_abs_score": 2e-2,
    "min_box_iou": 0.95,
    "min_mask_iou": 0.95,
    "min_class_agreement": 0.99,
}


@dataclass(frozen=True, slots=True)
class _Meaning:
    """The bounds of an output's figures, and how the figures of a pair of arrays (fp32, fp16) are taken."""

    bounds: Mapping[str, float]
    figures: Callable[[Array, Array], Mapping[str, float]]


def _class_agreement(axis: int) -> Callable[[Array, Array], Mapping[str, float]]:
    return lambda a, b: {"min_class_agreement": float((a.argmax(axis=axis) == b.argmax(axis=axis)).mean())}


_MEANINGS = {
    "embedding": _Meaning({"min_cosine": 0.999}, lambda a, b: {"min_cosine": min_cosine(a, b)}),
    "class-logits": _Meaning({"min_class_agreement": 0.99}, _class_agreement(1)),
    "query-class-logits": _Meaning({"min_class_agreement": 0.99}, _class_agreement(2)),
    "query-boxes": _Meaning({"max_abs_box": 1e-2}, lambda a, b: {"max_abs_box": max_abs(a, b)}),
    "query-mask-logits": _Meaning(
        {"min_mask_agreement": 0.99}, lambda a, b: {"min_mask_agreement": float(((a > 0) == (b > 0)).mean())}
    ),
}
_FEATURES = _Meaning({"max_rel_features": 5e-2}, lambda a, b: {"max_rel_features": max_rel(a, b)})
_OF_FEATURES = ("query-features", "attention-keys", "mask-features", "mask-pyramid")


def tolerance(spec: ModelSpec) -> dict[str, float]:
    """The bounds of the figures that `agreement` gives for a graph.

    Raises:
        ExportError: It has an output of which nothing is known.
    """
    if _ultralytics(spec):
        return dict(_YOLO)
    return {name: bound for output in spec.outputs for name, bound in _meaning(output.meaning).bounds.items()}


def agreement(spec: ModelSpec, expected: Mapping[str, Array], found: Mapping[str, Array]) -> dict[str, float]:
    """The figures of one comparison of a graph in fp32 (expected) and in fp16 (found)."""
    if family := _ultralytics(spec):
        detections, prototypes = (output.name for output in spec.outputs)
        figures = family.compare(
            (expected[detections], expected[prototypes]), (found[detections], found[prototypes]), len(spec.class_names)
        )
        return {name: figures[name] for name in _YOLO}
    taken: dict[str, float] = {}
    for output in spec.outputs:
        for name, figure in _meaning(output.meaning).figures(expected[output.name], found[output.name]).items():
            worse = max if name.startswith("max_") else min
            taken[name] = worse(taken.get(name, figure), figure)
    return taken


def _meaning(meaning: str) -> _Meaning:
    if meaning in _OF_FEATURES:
        return _FEATURES
    if meaning not in _MEANINGS:
        raise ExportError(f"fp16: expected outputs that can be compared, found {meaning!r}")
    return _MEANINGS[meaning]


def _ultralytics(spec: ModelSpec) -> UltralyticsFamily | None:
    family = all_families()[spec.family]
    return family if isinstance(family, UltralyticsFamily) else None
