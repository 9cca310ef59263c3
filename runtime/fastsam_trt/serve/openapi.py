"""Build the OpenAPI 3.1 document of the server."""

from __future__ import annotations

import base64
from typing import Any, get_args

import cv2
import numpy as np

from fastsam_trt import __version__
from fastsam_trt.serve.answer import STAGES
from fastsam_trt.serve.json_schema import Schema
from fastsam_trt.serve.output import MEDIA_TYPES, OutputName
from fastsam_trt.serve.problem import MEDIA_TYPE as PROBLEM_TYPE
from fastsam_trt.serve.request import FORM_TYPE, JSON_TYPE
from fastsam_trt.serve.request_fields import IMAGE, RequestFields

_PROBLEMS = {
    400: "The request is not as this document says, or its body is cut off.",
    401: "The token is missing or wrong.",
    403: "The host or origin is not allowed.",
    406: "No output has a type that the header Accept allows.",
    408: "The body came too slowly.",
    413: "The body, the image, or the masks of all its segments are too large.",
    415: "The body is neither a form nor JSON, or the image is of no known type.",
    422: "The image is broken, or a prompt or option can't be used with this model.",
    429: "Too many requests wait.",
    500: "The server failed.",
    503: "The models are being opened, the server ends, or the answer took too long.",
}
_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}
_IMAGE_HELP = (
    "A JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF, JPEG 2000 or PNM, and HEIC with the extra heic. It is turned upright as "
    "its EXIF says, and coordinates are px of the upright image."
)


def openapi_document(fields: RequestFields, *, has_token: bool) -> dict[str, Any]:
    """The document.

    Args:
        fields: What a request to segment may have.
        has_token: Whether the server needs a token.
    """
    secured: dict[str, Any] = {"security": [{"token": []}]} if has_token else {}
    common = (401, 403) if has_token else (403,)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fastsam-trt serve",
            "version": __version__,
            "description": "Select segments in images with texts, boxes and points.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/v1/segment": {"post": {**_segment(fields, common), **secured}},
            "/v1/model": {"get": {**_model(common), **secured}},
            "/healthz": {"get": _text("The process answers.", "live", "Whether the server lives", (403,))},
            "/readyz": {
                "get": _text("The models are open.", "ready", "Whether requests can be served", (403, 503)),
            },
            "/metrics": {
                "get": {**_text("Prometheus' text format.", "metrics", "Counts and times", common), **secured},
            },
            "/openapi.json": {
                "get": {
                    "operationId": "openapi",
                    "summary": "This document",
                    "responses": {
                        "200": _content("This document.", {JSON_TYPE: {"schema": {"type": "object"}}}),
                        **_problems((403,)),
                    },
                }
            },
        },
        "components": {
            "schemas": _components(),
            **({"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}} if has_token else {}),
        },
    }


def _segment(fields: RequestFields, common: tuple[int, ...]) -> dict[str, Any]:
    def body(image: dict[str, Any], schemas: dict[str, Schema]) -> dict[str, Any]:
        properties = {IMAGE: {**image, "description": _IMAGE_HELP}, **schemas}
        return {"type": "object", "properties": properties, "required": [IMAGE], "additionalProperties": False}

    form = body({"type": "string", "contentMediaType": "application/octet-stream"}, fields.form_schemas)
    encoding = {IMAGE: {"contentType": "image/*"}, **{name: {"contentType": JSON_TYPE} for name in ("boxes", "points")}}
    in_json = body(
        {"type": "string", "contentEncoding": "base64", "pattern": _BASE64, "examples": [_example_image()]},
        fields.schemas,
    )
    statuses = (400, *common, 406, 408, 413, 415, 422, 429, 500, 503)
    return {
        "operationId": "segment",
        "summary": "Select segments in an image",
        "description": (
            "Prompts, boxes and points are alternatives; without any of them everything is selected. In a form, a list "
            "is one part per item, and a box or point is a JSON list, such as boxes=[285,110,380,200]."
        ),
        "requestBody": {
            "required": True,
            "content": {FORM_TYPE: {"schema": form, "encoding": encoding}, JSON_TYPE: {"schema": in_json}},
        },
        "responses": {
            "200": _content(
                "The selected segments, best first; as JSON, an overlay, or a map with a class or segment per pixel.",
                {
                    JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Segmented"}},
                    **{kind: {} for name in get_args(OutputName) if (kind := MEDIA_TYPES[name]) != JSON_TYPE},
                },
            ),
            **_problems(statuses),
        },
    }


def _example_image() -> str:
    """A small PNG in base64, so that the examples of the document make a request that is answered."""
    rows = np.arange(32, dtype=np.uint8)[:, None, None] * 8
    image = np.broadcast_to(rows, (32, 48, 3))
    return base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode()


def _model(common: tuple[int, ...]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Model"}
    return {
        "operationId": "model",
        "summary": "The model, and what a request may take",
        "responses": {
            "200": _content("The open model.", {JSON_TYPE: {"schema": schema}}),
            **_problems((*common, 503)),
        },
    }


def _text(answer: str, operation: str, summary: str, statuses: tuple[int, ...]) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {"200": _content(answer, {"text/plain": {"schema": {"type": "string"}}}), **_problems(statuses)},
    }


def _content(description: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": content}


def _problems(statuses: tuple[int, ...]) -> dict[str, Any]:
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {
            **_content(_PROBLEMS[status], content),
            **({"headers": _RETRY} if status in (429, 503) else {}),
        }
        for status in statuses
    }


def _components() -> dict[str, Any]:
    number, text = {"type": "number"}, {"type": "string"}
    pair = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
    stages = {name: {"type": "number", "minimum": 0} for name in (*STAGES, "total")}
    return {
        "Problem": _object({"title": text, "status": {"type": "integer"}, "detail": text}),
        "Segmented": _object(
            {
                "size": {**pair, "description": "Height and width of the upright image, px."},
                "ms": _object(stages, optional=("encode",)),
                "segments": {"type": "array", "items": {"$ref": "#/components/schemas/Segment"}},
            }
        ),
        "Segment": _object(
            {
                "box": {
                    "type": "array",
                    "items": number,
                    "minItems": 4,
                    "maxItems": 4,
                    "description": "x0, y0, x1, y1, px of the image.",
                },
                "score": {"type": "number", "minimum": 0, "maximum": 1},
                "label": {"type": ["string", "null"], "description": "The model's class."},
                "prompt": {"type": ["string", "null"], "description": "The prompt that selected it."},
                "similarity": {"type": ["number", "null"], "description": "CLIP's similarity to its prompt, 0 to 1."},
                "track": {"type": "null"},
                "mask": {**_object({"size": pair, "counts": text}), "description": "COCO's compressed RLE."},
                "polygons": {
                    "type": "array",
                    "items": {"type": "array", "items": {"type": "integer"}, "minItems": 6},
                    "description": "As COCO has them, x, y, x, y, ..., along pixel edges, holes cut out.",
                },
            },
            optional=("mask", "polygons"),
        ),
        "Model": _object(
            {
                "name": text,
                "family": text,
                "class_names": {"type": "array", "items": text},
                "backend": text,
                "device": text,
                "precision": text,
                "limits": _object(dict.fromkeys(("body_bytes", "pixels", "queue", "timeout_s"), number)),
            }
        ),
    }


def _object(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
