"""RequestFields: the fields of a request to segment; one table for the checks and for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from fastsam_trt.prompts.texts import SelectorName
from fastsam_trt.serve.json_schema import Schema, check
from fastsam_trt.serve.output import MaskForm, OutputName
from fastsam_trt.serve.problem import RequestSchemaError

IMAGE = "image"
ANSWER_FIELDS = ("output", "masks", "simplify_px")
MOST_SEGMENTS = 300  # as many as ultralytics returns by default

_MOST_PROMPTS = 64
_LONGEST_PROMPT = 200  # characters; CLIP reads about as many
_FARTHEST_PX = 1e6


class RequestFields:
    """The fields of a request, except its image.

    Attributes:
        schemas: Field name to its JSON Schema.
    """

    def __init__(self, max_segments: int = MOST_SEGMENTS) -> None:
        """Make the table.

        Args:
            max_segments: Highest `max_segments` that a request may ask for.
        """
        self.schemas: dict[str, Schema] = _schemas(max_segments)

    @property
    def form_schemas(self) -> dict[str, Schema]:
        """The same for a form, where ids of classes are texts, and a list of one text is a text."""
        return {name: _in_form(schema) for name, schema in self.schemas.items()}

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Check the fields of a request. An empty list is left out: in a form it is no part at all.

        Raises:
            RequestSchemaError: There is no such field, or its value is not as its schema says.
        """
        for name in values:
            self.schema(name)
        checked = {name: check(value, self.schemas[name], name) for name, value in values.items()}
        return {name: value for name, value in checked.items() if value != []}

    def schema(self, name: str) -> Schema:
        """The schema of a field.

        Raises:
            RequestSchemaError: There is no such field.
        """
        if name not in self.schemas:
            raise RequestSchemaError(
                name[:40], f"one of the fields {', '.join((IMAGE, *self.schemas))}", "another field"
            )
        return self.schemas[name]


def _in_form(schema: Schema) -> Schema:
    items = schema.get("items", {})
    text = items["anyOf"][0] if "anyOf" in items else items
    if text.get("type") != "string":
        return schema
    return {"anyOf": [text, {**schema, "items": text}], "description": schema["description"]}


def _schemas(max_segments: int) -> dict[str, Schema]:
    return {
        "prompts": _texts("What to select: names of classes of the model, or anything that CLIP understands.", "cat"),
        "excluded": _texts("What not to select.", "dog"),
        "boxes": {
            **_numbers(4, 4, 256, "Each box selects the segment that fits it best: x0, y0, x1, y1, px of the image."),
            "examples": [[[4, 4, 40, 28]]],
        },
        "points": {
            **_numbers(2, 2, 1024, "Each point selects every segment under it, or excludes it: x, y, px of the image."),
            "examples": [[[24, 16]]],
        },
        "point_labels": {
            "type": "array",
            "items": {"type": "integer", "enum": [0, 1]},
            "maxItems": 1024,
            "description": "1 for a point that selects, 0 for one that excludes; one per point. Default: all select.",
        },
        "selector": {
            "type": "string",
            "enum": list(get_args(SelectorName)),
            "description": "What matches the prompts: the model's class names, CLIP, or (auto) names where they match.",
        },
        "threshold": _fraction("Lowest CLIP similarity of a selected segment."),
        "conf": _fraction("Lowest score of a segment."),
        "iou": _fraction("Highest overlap of two segments of one class, for models with NMS."),
        "max_segments": _count(max_segments, "Most segments, before the selection."),
        "max_selected": _count(max_segments, "Most selected segments, best first."),
        "classes": {
            "type": "array",
            "items": {
                "anyOf": [
                    {"type": "string", "minLength": 1, "maxLength": _LONGEST_PROMPT},
                    {"type": "integer", "minimum": 0, "maximum": 100_000},
                ]
            },
            "maxItems": 1000,
            "description": "Classes to keep, by name or id. Default: all.",
        },
        "output": {
            "type": "string",
            "enum": list(get_args(OutputName)),
            "description": "Form of the answer. Default: the one that the header Accept prefers, or json.",
        },
        "masks": {
            "type": "string",
            "enum": list(get_args(MaskForm)),
            "description": "Form of the masks in a JSON answer. Default: rle.",
        },
        "simplify_px": {
            "type": "number",
            "minimum": 0,
            "maximum": 100,
            "description": "Tolerance to simplify polygons, px. Default: 0, exact.",
        },
    }


def _texts(description: str, example: str) -> Schema:
    return {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": _LONGEST_PROMPT},
        "maxItems": _MOST_PROMPTS,
        "description": description,
        "examples": [[example]],
    }


def _numbers(least: int, most: int, rows: int, description: str) -> Schema:
    number = {"type": "number", "minimum": -_FARTHEST_PX, "maximum": _FARTHEST_PX}
    row = {"type": "array", "items": number, "minItems": least, "maxItems": most}
    return {"type": "array", "items": row, "maxItems": rows, "description": description}


def _fraction(description: str) -> Schema:
    return {"type": "number", "minimum": 0, "maximum": 1, "description": description}


def _count(most: int, description: str) -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": most, "description": description}
