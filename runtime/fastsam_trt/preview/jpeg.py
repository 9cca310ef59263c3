"""A picture of the preview: the overlay as JPEG, and what is selected in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from fastsam_trt.drawing.overlay import draw
from fastsam_trt.results.result import Result

LONGEST_PX = 1280
MOST_ROWS = 32
_JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Picture:
    """An overlay to show.

    Attributes:
        jpeg: The file's bytes; its longest side is 1280 px at most.
        selected: The first of the selected segments, best first, each with `name` (prompt, else class), `similarity`,
            `score`, both 0..1, and `track`; None where there is none.
        count: How many are selected in all.
    """

    jpeg: bytes
    selected: list[dict[str, Any]]
    count: int


def make_picture(result: Result) -> Picture:
    """Draw and encode a frame's result. Its masks should be decoded already, where it is used by two threads."""
    height, width = result.frame.shape[:2]
    scale = LONGEST_PX / max(height, width)
    size = None if scale >= 1 else (max(round(height * scale), 1), max(round(width * scale), 1))
    good, data = cv2.imencode(".jpg", draw(result, size), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not good:
        raise ValueError(f"OpenCV can't encode a picture of {width} x {height} as JPEG")
    return Picture(data.tobytes(), _rows(result), len(result))


def _rows(result: Result) -> list[dict[str, Any]]:
    return [
        {
            "name": result.prompts[prompt_id] if prompt_id >= 0 else label,
            "similarity": None if np.isnan(similarity) else round(similarity, 3),
            "score": round(score, 3),
            "track": track_id if track_id >= 0 else None,
        }
        for prompt_id, label, similarity, score, track_id, _ in zip(
            result.prompt_ids.tolist(),
            result.labels,
            result.similarities.tolist(),
            result.scores.tolist(),
            result.track_ids.tolist(),
            range(MOST_ROWS),
            strict=False,
        )
    ]
