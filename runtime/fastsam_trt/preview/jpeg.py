"""Encode the overlay as JPEG, and list its selected segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from fastsam_trt.results.result import Result
from fastsam_trt.sinks.shared_overlay import Overlay

LONGEST_PX = 1280
MOST_ROWS = 32
_JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class OverlayImage:
    """An overlay as JPEG.

    Attributes:
        jpeg: Bytes of the file; the longer side has at most 1280 px.
        selected: The first 32 selected segments, best first, as dicts: `name` (the prompt, or else the class),
            `similarity` and `score`, 0..1, and `track`; None stands for an absent value.
        count: Number of selected segments.
    """

    jpeg: bytes
    selected: list[dict[str, Any]]
    count: int


def encode_overlay(result: Result, overlay: Overlay | None = None) -> OverlayImage:
    """Draw a result and encode it.

    Args:
        result: The result.
        overlay: Draws it, at most 1280 px large; None: one that knows no earlier results.
    """
    image = (overlay or Overlay(longest_px=LONGEST_PX)).of(result)
    encoded, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not encoded:
        raise ValueError(f"OpenCV can't encode an image of {image.shape[1]} x {image.shape[0]} as JPEG")
    return OverlayImage(data.tobytes(), _rows(result), len(result))


def _rows(result: Result) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "similarity": None if np.isnan(similarity) else round(similarity, 3),
            "score": round(score, 3),
            "track": track_id if track_id >= 0 else None,
        }
        for name, similarity, score, track_id, _ in zip(
            result.display_names,
            result.similarities.tolist(),
            result.scores.tolist(),
            result.track_ids.tolist(),
            range(MOST_ROWS),
            strict=False,
        )
    ]
