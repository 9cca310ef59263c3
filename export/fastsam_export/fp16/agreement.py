"""Metrics and bounds for an fp16 graph compared with its fp32 graph, by the meaning of its outputs."""

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
class _OutputMetrics:
    """Bounds of the metrics of an output, and the function that measures them on a pair of arrays (fp32, fp16)."""

    bounds: Mapping[str, float]
    measure: Callable[[Array, Array], Mapping[str, float]]


def _class_agreement(axis: int) -> Callable[[Array, Array], Mapping[str, float]]:
    return lambda a, b: {"min_class_agreement": float((a.argmax(axis=axis) == b.argmax(axis=axis)).mean())}


_BY_MEANING = {
    "embedding": _OutputMetrics({"min_cosine": 0.999}, lambda a, b: {"min_cosine": min_cosine(a, b)}),
    "class-logits": _OutputMetrics({"min_class_agreement": 0.99}, _class_agreement(1)),
    "query-class-logits": _OutputMetrics({"min_class_agreement": 0.99}, _class_agreement(2)),
    "query-boxes": _OutputMetrics({"max_abs_box": 1e-2}, lambda a, b: {"max_abs_box": max_abs(a, b)}),
    "query-mask-logits": _OutputMetrics(
        {"min_mask_agreement": 0.99}, lambda a, b: {"min_mask_agreement": float(((a > 0) == (b > 0)).mean())}
    ),
}
_FEATURES = _OutputMetrics({"max_rel_features": 5e-2}, lambda a, b: {"max_rel_features": max_rel(a, b)})
_FEATURE_MEANINGS = ("query-features", "attention-keys", "mask-features", "mask-pyramid")


def bounds(spec: ModelSpec) -> dict[str, float]:
    """The bounds of the metrics that `compare` measures.

    Raises:
        ExportError: The graph has an output that can't be compared.
    """
    if _ultralytics(spec):
        return dict(_YOLO)
    return {name: bound for output in spec.outputs for name, bound in _metrics(output.meaning).bounds.items()}


def compare(spec: ModelSpec, expected: Mapping[str, Array], found: Mapping[str, Array]) -> dict[str, float]:
    """Measure how well the outputs in fp32 (`expected`) and in fp16 (`found`) agree, for one set of inputs."""
    if family := _ultralytics(spec):
        detections, prototypes = (output.name for output in spec.outputs)
        metrics = family.compare(
            (expected[detections], expected[prototypes]), (found[detections], found[prototypes]), len(spec.class_names)
        )
        return {name: metrics[name] for name in _YOLO}
    worst: dict[str, float] = {}
    for output in spec.outputs:
        for name, metric in _metrics(output.meaning).measure(expected[output.name], found[output.name]).items():
            worse = max if name.startswith("max_") else min
            worst[name] = worse(worst.get(name, metric), metric)
    return worst


def _metrics(meaning: str) -> _OutputMetrics:
    if meaning in _FEATURE_MEANINGS:
        return _FEATURES
    if meaning not in _BY_MEANING:
        raise ExportError(f"fp16: expected outputs that can be compared, found {meaning!r}")
    return _BY_MEANING[meaning]


def _ultralytics(spec: ModelSpec) -> UltralyticsFamily | None:
    family = all_families()[spec.family]
    return family if isinstance(family, UltralyticsFamily) else None
