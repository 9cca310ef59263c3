"""SegmentRequest: what a client asks for, read from JSON or from a form."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from fastsam_trt.serve.form_data import FormPart, form_boundary, parse_form
from fastsam_trt.serve.json_schema import Schema
from fastsam_trt.serve.output import MaskForm, OutputName, preferred_output
from fastsam_trt.serve.problem import ProblemError, RequestSchemaError
from fastsam_trt.serve.request_fields import ANSWER_FIELDS, IMAGE, RequestFields

JSON_TYPE = "application/json"
FORM_TYPE = "multipart/form-data"


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A body as it came.

    Attributes:
        content: All of it.
        media_type: `JSON_TYPE` or `FORM_TYPE`.
        content_type: The whole header.
        accept: The header `Accept`.
    """

    content: bytes
    media_type: str
    content_type: str
    accept: str | None


@dataclass(frozen=True, slots=True, eq=False)
class SegmentRequest:
    """What a client asks for.

    Attributes:
        image: The image file.
        call: Options of the pipeline's call.
        output: Form of the answer.
        masks: Form of the masks in a JSON answer.
        simplify_px: Tolerance of polygons, px.
    """

    image: bytes
    call: Mapping[str, Any] = field(default_factory=dict)
    output: OutputName = "json"
    masks: MaskForm = "rle"
    simplify_px: float = 0.0


def read_request(body: Body, fields: RequestFields) -> SegmentRequest:
    """Read a request.

    Raises:
        ProblemError: It is not JSON or a form (400), not as the fields say (400), or accepts no output (406).
    """
    if body.media_type == JSON_TYPE:
        image, values = _from_json(body.content)
    else:
        image, values = _from_form(parse_form(body.content, form_boundary(body.content_type)), fields)
    checked = fields.check(values)
    answer = {name: checked.pop(name) for name in ANSWER_FIELDS if name in checked}
    if "output" not in answer:
        answer["output"] = preferred_output(body.accept)
    return SegmentRequest(image, checked, **answer)


def _from_json(content: bytes) -> tuple[bytes, dict[str, Any]]:
    try:
        values = json.loads(str(content, "utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits
        raise ProblemError(400, "body: expected a JSON object, found something else") from error
    if not isinstance(values, dict):
        raise RequestSchemaError("body", "a JSON object", "another JSON value")
    text = values.pop(IMAGE, None)
    expected = "an image file in base64"
    if not isinstance(text, str):
        raise RequestSchemaError(IMAGE, expected, "none" if text is None else "no text")
    try:
        return base64.b64decode(text, validate=True), values
    except (ValueError, binascii.Error) as error:
        found = "a data URL; remove what is before its comma" if text.startswith("data:") else "other characters"
        raise RequestSchemaError(IMAGE, expected, found) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _from_form(parts: Iterable[FormPart], fields: RequestFields) -> tuple[bytes, dict[str, Any]]:
    image: bytes | None = None
    values: dict[str, Any] = {}
    for part in parts:
        if part.name == IMAGE:
            if image is not None:
                raise RequestSchemaError(IMAGE, "one image", "a second one")
            image = bytes(part.content)
            continue
        schema = fields.schema(part.name)
        if schema["type"] == "array":
            values.setdefault(part.name, []).extend(_items(part, schema["items"]))
        elif part.name in values:
            raise RequestSchemaError(part.name, "one part", "a second one")
        else:
            values[part.name] = _value(part, schema)
    if image is None:
        raise RequestSchemaError(IMAGE, "an image file", "none")
    return image, values


def _items(part: FormPart, schema: Schema) -> list[Any]:
    """The items that a part of a list has: one, or several as JSON if they are not texts."""
    if schema.get("type") == "string" or "anyOf" in schema:
        return [part.text()]
    text = part.text().strip()
    found = _json(text if text.startswith("[") else f"[{text}]")
    if not text or not isinstance(found, list):
        return [text]
    nested = bool(found) and isinstance(found[0], list)
    return found if nested or schema["type"] != "array" else [found]


def _value(part: FormPart, schema: Schema) -> Any:
    text = part.text()
    if schema["type"] == "string":
        return text
    return _json(text.strip())


def _json(text: str) -> Any:
    """The JSON value of a text, or the text itself, which no schema of a number allows."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text
