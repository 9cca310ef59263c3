"""Encode the overlay as JPEG, in one message with the list of the segments that it shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import cv2

from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.results import rle
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.json_lines import as_record
from fastsam_trt.sinks.shared_overlay import Overlay
from fastsam_trt.sources import Frame

LONGEST_PX = 1280
MOST_ROWS = 32
_JPEG_QUALITY = 80
_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True, eq=False)
class OverlayImage:
    """An overlay, and what is known of its frame. It does not keep the frame's pixels.

    Attributes:
        number: Number of the image, from 1; no two images of a server have the same.
        message: What is sent to clients: the length of a JSON document, 4 bytes, high byte first; the document; and
            the JPEG, whose longer side has at most 1280 px. One message, so that a list belongs to its picture. The
            document has `number`; `frame`, the index of the frame; `size`, its [H, W] in px; `count`, how many
            segments are selected; and of the first 32 of these, best first, `selected`: lists of the prompt or else
            the class, similarity and score, 0..1, and track, null where it has none.
        record: The frame as a line of `--json` has it, without masks.
        crops: The masks of its selected segments.
    """

    number: int
    message: bytes
    record: dict[str, Any]
    crops: list[MaskCrop]

    def line(self) -> str:
        """The frame as `--json` writes it, with its masks; slow."""
        height, width = self.record["size"]
        masks = (rle.encode(crop, height, width) for crop in self.crops)
        segments = [{**segment, "mask": mask} for segment, mask in zip(self.record["segments"], masks, strict=True)]
        return json.dumps({**self.record, "segments": segments}, ensure_ascii=False, separators=(",", ":"))


def encode_overlay(number: int, frame: Frame, result: Result, overlay: Overlay | None = None) -> OverlayImage:
    """Draw a result and encode it.

    Args:
        number: Number of the image.
        frame: The frame.
        result: Its result.
        overlay: Draws it, at most 1280 px large; None: one that knows no earlier results.
    """
    image = (overlay or Overlay(longest_px=LONGEST_PX)).of(result)
    encoded, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not encoded:
        raise ValueError(f"OpenCV can't encode an image of {image.shape[1]} x {image.shape[0]} as JPEG")
    record = as_record(frame, result, masks=False)
    document = {
        "number": number,
        "frame": record["frame"],
        "size": record["size"],
        "count": len(result),
        "selected": [_row(segment) for segment in record["segments"][:MOST_ROWS]],
    }
    head = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    message = b"".join((len(head).to_bytes(_LENGTH_BYTES, "big"), head, data.data))
    return OverlayImage(number, message, record, result.mask_crops())


def _row(segment: dict[str, Any]) -> list[Any]:
    name = segment["label"] if segment["prompt"] is None else segment["prompt"]
    similarity = segment["similarity"]
    rounded = None if similarity is None else round(similarity, 3)
    return [name, rounded, round(segment["score"], 3), segment["track"]]
