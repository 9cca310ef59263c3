"""Check values against the part of JSON Schema (2020-12) that the requests of this server use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from fastsam_engine.errors import brief
from fastsam_trt.serve.problem import RequestSchemaError

Schema: TypeAlias = Mapping[str, Any]

_TYPES = {str: "a text", bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "an object"}


def check(value: Any, schema: Schema, field: str) -> Any:
    """Check a value that was read from JSON.

    Args:
        value: The value.
        schema: With `type` (`string`, `integer`, `number` or `array`) or `anyOf`, and the keywords of `describe`.
        field: Its name in messages.

    Returns:
        The value; whole numbers that are written with a point are ints.

    Raises:
        RequestSchemaError: It is not as the schema says.
    """
    if "anyOf" in schema:
        for option in schema["anyOf"]:
            if _is_of_type(value, option["type"]):
                return check(value, option, field)
        raise RequestSchemaError(field, describe(schema), _shown(value))
    if not _is_of_type(value, schema["type"]) or not _is_in_range(value, schema):
        raise RequestSchemaError(field, describe(schema), _shown(value))
    if schema["type"] == "array":
        return [check(item, schema["items"], f"{field}[{index}]") for index, item in enumerate(value)]
    return int(value) if schema["type"] == "integer" else value


def describe(schema: Schema) -> str:
    """Say what a schema expects, for messages."""
    if "anyOf" in schema:
        return " or ".join(describe(option) for option in schema["anyOf"])
    if "enum" in schema:
        *first, last = map(str, schema["enum"])
        return f"{', '.join(first)} or {last}"
    kind = schema["type"]
    if kind in ("integer", "number"):
        noun = "a whole number" if kind == "integer" else "a number"
        return f"{noun} from {schema['minimum']:g} to {schema['maximum']:g}"
    if kind == "string":
        return f"a text of {schema['minLength']} to {schema['maxLength']} characters"
    least, most = schema.get("minItems", 0), schema["maxItems"]
    count = f"{most}" if least == most else f"at most {most}" if not least else f"{least} to {most}"
    return f"a list of {count}, each {describe(schema['items'])}"


def _is_of_type(value: Any, kind: str) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "array":
        return isinstance(value, list)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    whole = isinstance(value, int) or value.is_integer()
    return whole if kind == "integer" else isinstance(value, int) or math.isfinite(value)


def _is_in_range(value: Any, schema: Schema) -> bool:
    if "enum" in schema:
        return value in schema["enum"]
    if isinstance(value, str):
        return bool(schema["minLength"] <= len(value) <= schema["maxLength"])
    if isinstance(value, list):
        return bool(schema.get("minItems", 0) <= len(value) <= schema["maxItems"])
    return bool(schema["minimum"] <= value <= schema["maximum"])


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(brief(value, 40)) if len(value) <= 40 else f"one of {len(value)} characters"
    if isinstance(value, bool | None):
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int | float):
        return brief(f"{value:.10g}" if isinstance(value, float) else str(value)[:40], 40)
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return _TYPES.get(type(value), type(value).__name__)
