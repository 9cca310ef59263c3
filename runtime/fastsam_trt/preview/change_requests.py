"""Parse the bodies of requests to change the settings of a run."""

from __future__ import annotations

import json
from typing import Any

from fastsam_trt.preview.controls import Region
from fastsam_trt.preview.settings import RegionChange, ThresholdChange

MOST_PROMPTS = 16
LONGEST_PROMPT = 200  # characters
_REGION = '{"box": [x0, y0, x1, y1]} or {"point": [x, y], "label": 1 or 0}'


def read_prompts(body: bytes) -> list[str]:
    """Parse `{"prompts": [...]}`.

    Raises:
        ValueError: The body is something else, or has too many or too long prompts.
    """
    request = _read_json(body)
    prompts = request.get("prompts") if isinstance(request, dict) else None
    if not isinstance(prompts, list) or not all(isinstance(prompt, str) for prompt in prompts):
        raise ValueError('expected {"prompts": ["...", ...]}, found something else')
    if len(prompts) > MOST_PROMPTS:
        raise ValueError(f"expected at most {MOST_PROMPTS} prompts, found {len(prompts)}")
    for prompt in prompts:
        if not prompt.strip() or not prompt.isprintable():  # half of a surrogate pair is not printable
            raise ValueError("expected printable text on one line in every prompt, found one without")
        if len(prompt) > LONGEST_PROMPT:
            raise ValueError(f"expected prompts of at most {LONGEST_PROMPT} characters, found {len(prompt)}")
    return prompts


def read_regions(body: bytes) -> RegionChange:
    """Parse `{"add": [...], "remove": [...]}`, lists of `{"box": [...]}` and `{"point": [...], "label": 1}`.

    Raises:
        ValueError: The body is something else.
    """
    request = _read_json(body)
    if not isinstance(request, dict) or not request or not request.keys() <= {"add", "remove"}:
        raise ValueError('expected {"add": [...], "remove": [...]}, found something else')
    if not all(isinstance(regions, list) for regions in request.values()):
        raise ValueError('expected lists in "add" and "remove", found something else')
    return RegionChange(**{name: tuple(map(_read_region, regions)) for name, regions in request.items()})


def read_thresholds(body: bytes) -> ThresholdChange:
    """Parse `{"conf": 0.25, "threshold": 0.5}`; one of them may be left out.

    Raises:
        ValueError: The body is something else.
    """
    request = _read_json(body)
    if not isinstance(request, dict) or not request or not request.keys() <= {"conf", "threshold"}:
        raise ValueError('expected {"conf": 0.25} or {"threshold": 0.5} or both, found something else')
    return ThresholdChange(**{name: _read_number(value) for name, value in request.items()})


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("expected JSON, found something else") from error


def _read_region(found: Any) -> Region:
    region = found if isinstance(found, dict) else {}
    kind = "box" if "box" in region else "point"
    at, label = region.get(kind), region.get("label", 1)
    numbers = 4 if kind == "box" else 2
    known = {"box"} if kind == "box" else {"point", "label"}
    is_label = isinstance(label, int) and not isinstance(label, bool) and label in (0, 1)
    if not isinstance(at, list) or len(at) != numbers or not region.keys() <= known or not is_label:
        raise ValueError(f"expected regions such as {_REGION}, found something else")
    return Region(tuple(map(_read_number, at)), label)


def _read_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected numbers, found {type(value).__name__}")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("expected numbers, found one that is too large") from error
