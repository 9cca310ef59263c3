"""Answer: what a client gets, and how a worker makes it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.frames.file_type import sniff
from fastsam_trt.frames.image import decode_image
from fastsam_trt.pipeline import Pipeline
from fastsam_trt.results import label_map
from fastsam_trt.results.polygons import coco_polygons
from fastsam_trt.results.result import Result
from fastsam_trt.serve.limits import Limits
from fastsam_trt.serve.output import MEDIA_TYPES
from fastsam_trt.serve.problem import ProblemError
from fastsam_trt.serve.request import Body, SegmentRequest, read_request
from fastsam_trt.serve.request_fields import RequestFields

STAGES = ("queue", "parse", "image", "preprocess", "segment", "select", "decode", "encode")
"""The stages of a request, from the end of its body to its answer, in order."""

_JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets.

    Attributes:
        body: Its bytes.
        media_type: What they are.
        segments: Number of selected segments.
        ms: Time of each stage.
    """

    body: bytes
    media_type: str
    segments: int
    ms: dict[str, float]


@dataclass(slots=True)
class _StageClock:
    ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start_s = time.perf_counter()
        yield
        self.ms[name] = (time.perf_counter() - start_s) * 1e3


def make_answer(pipeline: Pipeline, body: Body, fields: RequestFields, limits: Limits, received_s: float) -> Answer:
    """Read a request, segment its image, and encode the answer.

    Args:
        pipeline: The open pipeline; any thread may call it.
        body: The request.
        fields: What it may ask for.
        limits: What it may take.
        received_s: When it was whole, on `time.perf_counter`'s clock.

    Raises:
        ProblemError: The request is wrong, or takes too much.
        FastsamError: The image or an option can't be used.
    """
    clock = _StageClock({"queue": (time.perf_counter() - received_s) * 1e3})
    with clock.stage("parse"):
        request = read_request(body, fields)
    with clock.stage("image"):
        frame = _read_image(request.image, limits)
    result = pipeline.process(frame, **request.call)
    if request.output != "json" or request.masks != "none":
        result.mask_crops()
    clock.ms |= {stage: ms for stage, ms in result.speed.items() if stage != "total"}
    with clock.stage("encode"):
        encoded = _encode(result, request, clock.ms)
    return Answer(encoded, MEDIA_TYPES[request.output], len(result), clock.ms)


def _read_image(data: bytes, limits: Limits) -> NDArray[np.uint8]:
    found = sniff(data)
    if found.image_format is None:
        raise ProblemError(415, f"image: expected an image file, found {found.name}")
    return decode_image(data, "image", limits.pixels)


def _encode(result: Result, request: SegmentRequest, ms: dict[str, float]) -> bytes:
    if request.output == "json":
        record = _record(result, request, ms)
        return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    if request.output == "class-map":
        return label_map.encode(label_map.label_map(result))
    if request.output == "instance-map":
        return label_map.encode(label_map.instance_map(result))
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if request.output == "overlay-jpeg" else []
    encoded, data = cv2.imencode(".jpg" if options else ".png", result.plot(), options)
    if not encoded:
        raise ProblemError(
            422, f"output: expected an image that a {request.output} can hold, found {result.frame.shape}"
        )
    return data.tobytes()


def _record(result: Result, request: SegmentRequest, ms: dict[str, float]) -> dict[str, Any]:
    """The answer in JSON types, with the names that JSON lines have."""
    record = result.to_dict(masks=request.masks == "rle")
    segments: list[dict[str, Any]] = [{**segment} for segment in record["segments"]]
    if request.masks == "polygons":
        polygons = coco_polygons(result.mask_crops(), request.simplify_px)
        for segment, rings in zip(segments, polygons, strict=True):
            segment["polygons"] = rings
    total = sum(ms.values())
    return {
        "size": record["size"],
        "ms": {**{stage: round(value, 3) for stage, value in ms.items()}, "total": round(total, 3)},
        "segments": segments,
    }
