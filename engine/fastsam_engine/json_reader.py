"""Reading JSON as dataclasses: data from files is checked field by field, and what does not fit is named."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal


def read_json(expected: Any, value: Any, where: str, unknown: list[str] | None = None) -> Any:
    """Read a JSON value as a type, checking every field.

    Args:
        expected: A plain type, a `Literal`, a tuple, a mapping, a union, or a dataclass of these.
        value: As `json.loads` gives it.
        where: Its name in messages.
        unknown: Takes the places of unknown fields, which are left out then; without it they are refused.

    Raises:
        ValueError: A field is missing, unknown or of the wrong type.
    """
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin in (types.UnionType, typing.Union):
        return _read_union(arguments, value, where, unknown)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{where}: expected one of {', '.join(map(repr, arguments))}, found {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where}: expected a list, found {value!r}")
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) != len(value):
            raise ValueError(f"{where}: expected {len(kinds)} items, found {len(value)}")
        return tuple(
            read_json(kind, item, f"{where}[{i}]", unknown)
            for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"{where}: expected an object, found {value!r}")
        return {key: read_json(arguments[1], item, f"{where}.{key}", unknown) for key, item in value.items()}
    if dataclasses.is_dataclass(expected):
        return _read_dataclass(typing.cast("type", expected), value, where, unknown)
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not expected:
        raise ValueError(f"{where}: expected {expected.__name__}, found {value!r}")
    return value


def _read_dataclass(expected: type, value: Any, where: str, unknown: list[str] | None) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected an object, found {value!r}")
    hints = typing.get_type_hints(expected)
    fields = {f.name: f for f in dataclasses.fields(expected)}
    if strange := sorted(set(value) - set(fields)):
        if unknown is None:
            raise ValueError(f"{where}: unknown field {strange[0]!r}")
        unknown.extend(f"{where}.{name}" for name in strange)
        value = {name: item for name, item in value.items() if name in fields}
    for name, each in fields.items():
        optional = each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING
        if name not in value and not optional:
            raise ValueError(f"{where}: missing field {name!r}")
    return expected(**{name: read_json(hints[name], item, f"{where}.{name}", unknown) for name, item in value.items()})


def _read_union(members: tuple[Any, ...], value: Any, where: str, unknown: list[str] | None) -> Any:
    """Read a union: None, a plain type, or dataclasses told apart by their `kind`."""
    if value is None and type(None) in members:
        return None
    rest = [member for member in members if member is not type(None)]
    if len(rest) == 1:
        return read_json(rest[0], value, where, unknown)
    kinds = {member.__dataclass_fields__["kind"].default: member for member in rest}
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind not in kinds:
        raise ValueError(f"{where}: expected kind {' or '.join(map(repr, kinds))}, found {kind!r}")
    return read_json(kinds[kind], value, where, unknown)
