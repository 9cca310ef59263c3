"""Metrics and bounds of an adopted graph compared with the original, by the meaning of its outputs."""

from __future__ import annotations

from collections.abc import Mapping

from fastsam_engine.session import Array
from fastsam_engine.spec.model_spec import Output
from fastsam_export.adopt.hub_files import AdoptedPrecision
from fastsam_export.parity import max_abs, max_rel, min_cosine

_Bounds = Mapping[str, float]

_EMBEDDING: Mapping[AdoptedPrecision, _Bounds] = {
    "fp32": {"min_cosine": 0.9999, "max_abs_embedding": 1e-3},
    "fp16": {"min_cosine": 0.999},
    "int8": {"min_cosine": 0.99},
}
_CLASS_LOGITS: Mapping[AdoptedPrecision, _Bounds] = {
    "fp32": {"max_rel_logit": 1e-3, "min_class_agreement": 0.999},
    "fp16": {"min_class_agreement": 0.99},
    "int8": {"min_class_agreement": 0.97},
}
_QUERY_CLASSES: Mapping[AdoptedPrecision, _Bounds] = {
    "fp32": {"max_rel_class_logit": 1e-3, "min_class_agreement": 1.0},
    "fp16": {"min_class_agreement": 0.99},
    "int8": {"min_class_agreement": 0.95},
}
_QUERY_MASKS: Mapping[AdoptedPrecision, _Bounds] = {
    "fp32": {"max_rel_mask_logit": 1e-3, "min_mask_agreement": 0.999},
    "fp16": {"min_mask_agreement": 0.99},
    "int8": {"min_mask_agreement": 0.97},
}
_BY_MEANING = {
    "embedding": _EMBEDDING,
    "class-logits": _CLASS_LOGITS,
    "query-class-logits": _QUERY_CLASSES,
    "query-mask-logits": _QUERY_MASKS,
}


def bounds(outputs: tuple[Output, ...], precision: AdoptedPrecision) -> dict[str, float]:
    """The bounds of the metrics of a graph's outputs."""
    return {name: bound for output in outputs for name, bound in _BY_MEANING[output.meaning][precision].items()}


def compare(outputs: tuple[Output, ...], expected: Mapping[str, Array], found: Mapping[str, Array]) -> dict[str, float]:
    """Measure how well the outputs of the original (`expected`) and of the adopted graph (`found`) agree."""
    metrics: dict[str, float] = {}
    for output in outputs:
        a, b = expected[output.name], found[output.name]
        if output.meaning == "embedding":
            metrics |= {"min_cosine": min_cosine(a, b), "max_abs_embedding": max_abs(a, b)}
        elif output.meaning == "class-logits":
            same = (a.argmax(axis=1) == b.argmax(axis=1)).mean()
            metrics |= {"max_rel_logit": max_rel(a, b), "min_class_agreement": float(same)}
        elif output.meaning == "query-class-logits":
            same = (a.argmax(axis=2) == b.argmax(axis=2)).mean()
            metrics |= {"max_rel_class_logit": max_rel(a, b), "min_class_agreement": float(same)}
        else:
            same = ((a > 0) == (b > 0)).mean()
            metrics |= {"max_rel_mask_logit": max_rel(a, b), "min_mask_agreement": float(same)}
    return metrics
