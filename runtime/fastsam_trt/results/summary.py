"""Summaries of results: a list in the form of ultralytics' `Results.summary`, and what was found in a few words.

https://docs.ultralytics.com/reference/engine/results/
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice
from typing import NotRequired, TypedDict

from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.results.selected import SelectedSegments
from fastsam_trt.results.yolo_labels import joined_outline

_NAMES_SHOWN = 6
_UNNAMED = "object"


class SummaryBox(TypedDict):
    """A box: its corners, px of the frame, or fractions of its width and height."""

    x1: float
    y1: float
    x2: float
    y2: float


class SummaryOutline(TypedDict):
    """An outline: the x and y of its vertices, px of the frame, or fractions of its width and height."""

    x: list[float]
    y: list[float]


_Class = TypedDict("_Class", {"class": int})  # a keyword, so not in the form of a class


class SegmentSummary(_Class):
    """A selected segment as in ultralytics' summaries, with `prompt` and `similarity` beside.

    Attributes:
        class: Its class id.
        name: Name of its class; the prompt that selected it if the model has no class names.
        confidence: Its score, 0..1.
        box: Its box.
        segments: The outline of its mask: one polygon through the centres of boundary pixels, with parts and holes
            joined. Whole numbers are pixel centres, as in `Result.polygons`.
        track_id: Its track, if it is tracked.
        prompt: The text prompt that selected it, if one did.
        similarity: How well CLIP found it to match, 0..1, if CLIP was used.
    """

    name: str
    confidence: float
    box: SummaryBox
    segments: SummaryOutline
    track_id: NotRequired[int]
    prompt: NotRequired[str]
    similarity: NotRequired[float]


def summarise(result: SelectedSegments, *, normalize: bool = False, decimals: int = 5) -> list[SegmentSummary]:
    """The selected segments in the form of ultralytics' `Results.summary`.

    Args:
        result: A frame's result; its masks are decoded if they are not yet.
        normalize: Whether coordinates are fractions of the frame's width and height.
        decimals: To how many decimals numbers are rounded.
    """
    height, width = result.size if normalize else (1, 1)
    found: list[SegmentSummary] = []
    for row, (box, score, class_id, crop) in enumerate(
        zip(result.boxes.tolist(), result.scores.tolist(), result.class_ids.tolist(), result.mask_crops(), strict=True)
    ):
        x1, y1, x2, y2 = (round(edge / side, decimals) for edge, side in zip(box, (width, height) * 2, strict=True))
        summary: SegmentSummary = {
            "name": _name(result, row),
            "class": class_id,
            "confidence": round(score, decimals),
            "box": {"x1": x1, "y1": y1, "x2": x2, "y2": y2},
            "segments": _outline(crop, width, height, decimals),
        }
        track_id, prompt_id, similarity = (
            int(result.track_ids[row]),
            int(result.prompt_ids[row]),
            float(result.similarities[row]),
        )
        if track_id >= 0:
            summary["track_id"] = track_id
        if prompt_id >= 0:
            summary["prompt"] = result.prompts[prompt_id]
        if not math.isnan(similarity):
            summary["similarity"] = round(similarity, decimals)
        found.append(summary)
    return found


def describe(result: SelectedSegments) -> str:
    """What was found in a few words: `3 segments: 2 car, 1 bus`; prompts without a segment count, too."""
    shown = [name or _UNNAMED for name in result.display_names]
    counts = Counter(dict.fromkeys(result.prompts, 0))
    counts.update(shown)
    if set(counts) <= {_UNNAMED}:
        counts.clear()  # one number is enough
    parts = [f"{count} {name}" for name, count in islice(counts.items(), _NAMES_SHOWN)]
    parts += ["..."] if len(counts) > _NAMES_SHOWN else []
    plural = "" if len(shown) == 1 else "s"
    return f"{len(shown)} segment{plural}{': ' if parts else ''}{', '.join(parts)}"


def _name(result: SelectedSegments, row: int) -> str:
    class_id = int(result.class_ids[row])
    names = result.class_names
    of_class = names[class_id] if class_id < len(names) else _UNNAMED
    return result.label_of(class_id) or result.display_names[row] or of_class


def _outline(crop: MaskCrop, width: int, height: int, decimals: int) -> SummaryOutline:
    if not crop.pixels.any():
        return {"x": [], "y": []}
    x, y = (joined_outline(crop) - 0.5).T
    return {"x": (x / width).round(decimals).tolist(), "y": (y / height).round(decimals).tolist()}
