"""Output: the forms of an answer, and which one a request prefers."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias, get_args

from fastsam_trt.serve.problem import ProblemError

OutputName: TypeAlias = Literal["json", "overlay-jpeg", "overlay-png", "class-map", "instance-map"]
MaskForm: TypeAlias = Literal["rle", "polygons", "none"]

MEDIA_TYPES: dict[OutputName, str] = {
    "json": "application/json",
    "overlay-jpeg": "image/jpeg",
    "overlay-png": "image/png",
    "class-map": "image/png",
    "instance-map": "image/png",
}
_BY_ACCEPT: tuple[OutputName, ...] = ("json", "overlay-jpeg", "overlay-png")  # maps are asked for by name
_QUALITY = re.compile(r"\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE | re.ASCII)


def preferred_output(accept: str | None) -> OutputName:
    """The output that an `Accept` header prefers (RFC 9110, 12.5.1); JSON if it has no preference.

    Raises:
        ProblemError: It accepts none of them (406).
    """
    if accept is None or not accept.strip():
        return "json"
    ranges = [_range(text) for text in accept.split(",")]
    qualities = {name: _quality(MEDIA_TYPES[name], ranges) for name in _BY_ACCEPT}
    best = max(qualities, key=lambda name: qualities[name])  # the first of equal ones
    if qualities[best] == 0:
        offered = ", ".join(dict.fromkeys(MEDIA_TYPES[name] for name in get_args(OutputName)))
        raise ProblemError(
            406, f"Accept: expected one of {offered}, found none of them; the field output takes precedence"
        )
    return best


def _range(text: str) -> tuple[str, float]:
    """A media range and its quality, 0..1."""
    kind, *parameters = text.split(";")
    matches = (_QUALITY.fullmatch(parameter) for parameter in parameters)
    quality = next((float(match[1]) for match in matches if match), 1.0)
    return kind.strip().lower(), quality


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """The quality of a media type: that of the most specific range that it is in."""
    for wanted in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        found = [quality for kind, quality in ranges if kind == wanted]
        if found:
            return max(found)
    return 0.0
