"""Convert a comparison to table rows and to JSON types."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastsam_trt.comparison.outcome import STAGES, Comparison, ModelOutcome, RankedSegment
from fastsam_trt.reports.machine import Machine

HEADER = ("model", "segments", "selected", *(f"{stage} ms" for stage in STAGES), "best similarity", "ranked highest")
_NAMED = 3


def table_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """One row per model, with the columns of `HEADER`; times are medians of the timed runs."""
    return [_row(outcome) for outcome in comparison.models]


def as_document(comparison: Comparison, image_name: str, machine: Machine) -> dict[str, Any]:
    """A comparison as JSON types: `size` is [H, W], boxes are xyxy px of the image, `ms` are medians. It has no masks.

    Args:
        comparison: The comparison.
        image_name: Name of the image.
        machine: The machine that it ran on.
    """
    return {
        "image": image_name,
        "size": list(comparison.image.shape[:2]),
        "prompts": list(comparison.prompts),
        "clip": comparison.clip,
        "selector": comparison.selector,
        "threshold": comparison.threshold,
        "repeat": comparison.repeat,
        "machine": dataclasses.asdict(machine),
        "models": [_model(outcome) for outcome in comparison.models],
    }


def _row(outcome: ModelOutcome) -> tuple[str, ...]:
    best = outcome.best_similarity
    return (
        outcome.name,
        str(len(outcome.result.segments)),
        str(len(outcome.result)),
        *(f"{outcome.ms[stage]:.1f}" for stage in STAGES),
        "-" if best is None else f"{best:.2f}",
        ", ".join(segment.caption for segment in outcome.ranked(_NAMED)) or "-",
    )


def _model(outcome: ModelOutcome) -> dict[str, Any]:
    best = outcome.best_similarity
    return {
        "model": outcome.name,
        "family": outcome.family,
        "backend": outcome.backend,
        "device": outcome.device,
        "precision": outcome.precision,
        "segments": len(outcome.result.segments),
        "selected": len(outcome.result),
        "by_label": list(outcome.by_label),
        "by_clip": list(outcome.by_clip),
        "best_similarity": None if best is None else round(best, 4),
        "ms": {stage: round(ms, 3) for stage, ms in outcome.ms.items()},
        "ranking": [_segment(segment) for segment in outcome.ranked()],
    }


def _segment(ranked: RankedSegment) -> dict[str, Any]:
    return {
        **dataclasses.asdict(ranked),
        "box": [round(edge, 2) for edge in ranked.box],
        "score": round(ranked.score, 4),
        "similarity": None if ranked.similarity is None else round(ranked.similarity, 4),
    }
