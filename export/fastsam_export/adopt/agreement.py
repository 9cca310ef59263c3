"""Metrics and bounds of an adopted graph compared with the original, by the meaning of its outputs.

On the backend that ran the original, the adopted graph computes the same. Another backend rounds elsewhere: in half
precision a little; in int8 a number may fall on another step, which moves an embedding about as far as int8 itself did.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastsam_engine.session import Array
from fastsam_engine.spec.model_spec import Output
from fastsam_export.adopt.hub_files import AdoptedPrecision
from fastsam_export.parity import max_abs, max_rel, min_cosine

OTHER_BACKEND = "_on_other_backend"
"""End of the names of metrics that were measured on another backend than the original's."""

_Bounds = Mapping[str, float]

_FP32: Mapping[str, _Bounds] = {
    "embedding": {"min_cosine": 0.9999, "max_abs_embedding": 1e-3},
    "class-logits": {"max_rel_logit": 1e-3, "min_class_agreement": 0.999},
    "query-class-logits": {"max_rel_class_logit": 1e-3, "min_class_agreement": 1.0},
    "query-mask-logits": {"max_rel_mask_logit": 1e-3, "min_mask_agreement": 0.999},
}
_SAME_BACKEND: Mapping[str, _Bounds] = {
    "embedding": {"min_cosine": 0.9999},
    "class-logits": {"min_class_agreement": 0.99},
    "query-class-logits": {"min_class_agreement": 0.99},
    "query-mask-logits": {"min_mask_agreement": 0.99},
}
_OTHER_BACKEND: Mapping[AdoptedPrecision, Mapping[str, _Bounds]] = {
    "fp16": {**_SAME_BACKEND, "embedding": {"min_cosine": 0.999}},
    "int8": {
        "embedding": {"min_cosine": 0.98},
        "class-logits": {"min_class_agreement": 0.95},
        "query-class-logits": {"min_class_agreement": 0.95},
        "query-mask-logits": {"min_mask_agreement": 0.95},
    },
}


def bounds(outputs: tuple[Output, ...], precision: AdoptedPrecision, *, backends: int) -> dict[str, float]:
    """The bounds of the metrics of a graph's outputs.

    Args:
        outputs: The outputs.
        precision: Of the graph.
        backends: Number of backends that it is compared on.
    """
    if precision == "fp32":
        return _of(outputs, _FP32)
    found = _of(outputs, _SAME_BACKEND)
    if backends > 1:
        found |= {f"{name}{OTHER_BACKEND}": bound for name, bound in _of(outputs, _OTHER_BACKEND[precision]).items()}
    return found


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


def _of(outputs: tuple[Output, ...], table: Mapping[str, _Bounds]) -> dict[str, float]:
    return {name: bound for output in outputs for name, bound in table[output.meaning].items()}
