"""Results in JSON types, with the names that JSON lines have."""

from __future__ import annotations

import math
from typing import NotRequired, TypedDict

from fastsam_trt.results.rle import Rle
from fastsam_trt.results.selected import SelectedSegments


class SegmentRecord(TypedDict):
    """A selected segment in JSON types.

    Attributes:
        box: [x0, y0, x1, y1], px of the frame.
        score: 0..1.
        label: Name of its class; None if the model has no class names.
        prompt: The text prompt that selected it; None if none did.
        similarity: 0..1; None if CLIP was not used.
        track: Its track id; None if it is not tracked.
        mask: COCO RLE; absent if masks were not wanted.
    """

    box: list[float]
    score: float
    label: str | None
    prompt: str | None
    similarity: float | None
    track: int | None
    mask: NotRequired[Rle]


class ResultRecord(TypedDict):
    """A result in JSON types.

    Attributes:
        size: [H, W] of the frame, px.
        ms: Time of each stage, ms.
        pending_tracks: Track ids of segments that are decided in a later frame.
        segments: The n selected segments, best first.
    """

    size: list[int]
    ms: dict[str, float]
    pending_tracks: list[int]
    segments: list[SegmentRecord]


def as_record(result: SelectedSegments, *, masks: bool = True) -> ResultRecord:
    """A result in JSON types.

    Args:
        result: A frame's result.
        masks: Whether to include the masks, which are decoded if they are not yet.
    """
    segments = _without_masks(result)
    if masks:
        for record, mask in zip(segments, result.rle(), strict=True):
            record["mask"] = mask
    return {  # `speed` is read last: it includes the time of decoding
        "size": list(result.size),
        "ms": {stage: round(ms, 3) for stage, ms in result.speed.items()},
        "pending_tracks": result.pending_tracks.tolist(),
        "segments": segments,
    }


def _without_masks(result: SelectedSegments) -> list[SegmentRecord]:
    columns = (result.boxes, result.scores, result.prompt_ids, result.similarities, result.track_ids)
    rows = zip(*(column.tolist() for column in columns), result.labels, strict=True)
    return [
        {
            "box": [round(edge, 2) for edge in box],
            "score": round(score, 4),
            "label": label,
            "prompt": result.prompts[prompt_id] if prompt_id >= 0 else None,
            "similarity": None if math.isnan(similarity) else round(similarity, 4),
            "track": track_id if track_id >= 0 else None,
        }
        for box, score, prompt_id, similarity, track_id, label in rows
    ]
