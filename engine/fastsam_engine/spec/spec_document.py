"""Read specs from JSON."""

from __future__ import annotations

from typing import cast

from fastsam_engine.spec.json_reader import parse_json, read_json
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.spec.spec_limits import check_spec


def parse_spec(text: str) -> ModelSpec:
    """Read a spec.

    Raises:
        ValueError: The text is not JSON, or a field is missing, unknown, of the wrong type or out of range.
    """
    return read_spec_document(parse_json(text))


def read_spec_document(document: object) -> ModelSpec:
    """Read a spec from parsed JSON.

    Raises:
        ValueError: See `parse_spec`.
    """
    spec = cast("ModelSpec", read_json(ModelSpec, document, "spec"))
    check_spec(spec)
    return spec


def schema_version(text: str) -> object:
    """The schema version in a JSON document, which may be of any version.

    Raises:
        ValueError: The text is not a JSON object.
    """
    document = parse_json(text)
    if not isinstance(document, dict):
        raise ValueError(f"expected a JSON object, found {type(document).__name__}")
    return document.get("schema_version")
