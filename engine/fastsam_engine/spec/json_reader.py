"""Read JSON as dataclasses, checking every field and naming the one that does not fit."""

from __future__ import annotations

import dataclasses
import json
import math
import reprlib
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

_MOST_BYTES = 1 << 24  # per document; enough for hundreds of thousands of class names
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxtuple, _SHORT.maxdict, _SHORT.maxset = 2, 3, 3, 3, 3


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON document from an untrusted file.

    Raises:
        ValueError: It is not JSON, too long, too deep, has a duplicate key, or a number that is not finite.
    """
    if len(text) > _MOST_BYTES:
        raise ValueError(f"expected at most {_MOST_BYTES >> 20} MiB of JSON, found {len(text) / 2**20:.0f} MiB")
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("expected JSON of a few levels, found hundreds") from None


def shown(value: object) -> str:
    """A value's `repr` for a message, shortened."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # an integer of thousands of digits
        return f"a {type(value).__name__} of thousands of digits"


def read_json(expected: Any, value: Any, where: str, unknown: list[str] | None = None) -> Any:
    """Read a JSON value as a type, checking every field.

    Args:
        expected: A plain type, a `Literal`, a tuple, a mapping, a union, or a dataclass of these.
        value: As `json.loads` returns it.
        where: Its name in messages.
        unknown: Collects the names of unknown fields, which are then ignored; None: they are refused.

    Raises:
        ValueError: A field is missing, unknown or of the wrong type, a number is not finite, or text is not Unicode.
    """
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin in (types.UnionType, typing.Union):
        return _read_union(arguments, value, where, unknown)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{where}: expected one of {', '.join(map(repr, arguments))}, found {shown(value)}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where}: expected a list, found {shown(value)}")
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) != len(value):
            raise ValueError(f"{where}: expected {len(kinds)} items, found {len(value)}")
        return tuple(
            read_json(kind, item, f"{where}[{i}]", unknown)
            for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"{where}: expected an object, found {shown(value)}")
        return {
            _text(key, where): read_json(arguments[1], item, f"{where}.{shown(key)}", unknown)
            for key, item in value.items()
        }
    if dataclasses.is_dataclass(expected):
        return _read_dataclass(typing.cast("type", expected), value, where, unknown)
    if expected is float and isinstance(value, int | float) and not isinstance(value, bool):
        return _float(value, where)
    if type(value) is not expected:
        raise ValueError(f"{where}: expected {expected.__name__}, found {shown(value)}")
    return _text(value, where) if expected is str else value


def _read_dataclass(expected: type, value: Any, where: str, unknown: list[str] | None) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected an object, found {shown(value)}")
    hints = typing.get_type_hints(expected)
    fields = {f.name: f for f in dataclasses.fields(expected)}
    if strange := sorted(set(value) - set(fields)):
        if unknown is None:
            raise ValueError(f"{where}: unknown field {shown(strange[0])}")
        unknown.extend(f"{where}.{name}" for name in strange)
        value = {name: item for name, item in value.items() if name in fields}
    for name, each in fields.items():
        optional = each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING
        if name not in value and not optional:
            raise ValueError(f"{where}: missing field {name!r}")
    return expected(**{name: read_json(hints[name], item, f"{where}.{name}", unknown) for name, item in value.items()})


def _read_union(members: tuple[Any, ...], value: Any, where: str, unknown: list[str] | None) -> Any:
    """Read a union: None, a plain type, or dataclasses distinguished by their `kind`."""
    if value is None and type(None) in members:
        return None
    rest = [member for member in members if member is not type(None)]
    if len(rest) == 1:
        return read_json(rest[0], value, where, unknown)
    kinds = {member.__dataclass_fields__["kind"].default: member for member in rest}
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(f"{where}: expected kind {' or '.join(map(repr, kinds))}, found {shown(kind)}")
    return read_json(kinds[kind], value, where, unknown)


def _float(value: float, where: str) -> float:
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise ValueError(f"{where}: expected a finite number, found {shown(value)}")
    return found


def _text(value: str, where: str) -> str:
    """Check text: JSON's escapes can form surrogates without a partner, which can't be encoded."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{where}: expected Unicode text, found {shown(value)}") from None
    return value


def _finite(digits: str) -> float:
    found = float(digits)
    if not math.isfinite(found):
        raise ValueError(f"expected finite numbers, found {shown(digits)}")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"expected finite numbers, found {name}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(
            f"expected each key once, found {shown(next(key for key in keys if keys.count(key) > 1))} twice"
        )
    return found
