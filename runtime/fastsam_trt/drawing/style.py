"""DrawStyle: what an overlay shows, and how."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from fastsam_trt.errors import OptionError

Element = Literal["masks", "boxes", "labels", "scores"]
ColourBy = Literal["auto", "track", "class", "prompt"]

ELEMENTS: tuple[Element, ...] = get_args(Element)

_REFERENCE_PX = math.sqrt(1920 * 1080)
_LEAST_SCALE = 0.5  # texts are then 14 px high, and lines 2.5 px wide


@dataclass(frozen=True, slots=True)
class DrawStyle:
    """What an overlay shows, and how.

    `line_width` and `text_size` are px of a 1080p frame. They scale with the root of the area. Frames smaller than
    960 x 540 get the sizes of such a frame, so that lines stay visible and texts legible.

    Attributes:
        draw: What is drawn: some of `masks` (with their outlines), `boxes`, `labels` (prompt or class, and track) and
            `scores` (similarity, or else score). None: masks, and labels with scores where segments have names.
        colour_by: What segments of one colour have in common: `track`, `class` or `prompt`; `auto` takes prompts if
            there are several, classes if there is none, else tracks. Where there are no tracks, each segment has a
            colour of its own.
        opacity: Of the tint of masks, 0..1.
        line_width: Width of outlines and boxes, px; 0: none.
        text_size: Size of labels, px.
    """

    draw: tuple[Element, ...] | None = None
    colour_by: ColourBy = "auto"
    opacity: float = 0.4
    line_width: float = 5.0
    text_size: float = 28.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            OptionError: One is unknown or out of range.
        """
        if self.draw is not None:
            object.__setattr__(self, "draw", elements(self.draw))
        if self.colour_by not in get_args(ColourBy):
            raise OptionError("colour_by", f"one of {', '.join(get_args(ColourBy))}", self.colour_by)
        _check_number("opacity", self.opacity, 0, 1)
        _check_number("line_width", self.line_width, 0, 100)
        _check_number("text_size", self.text_size, 4, 1000)

    def shows(self, element: Element) -> bool:
        """Whether an element is drawn. With `draw=None` labels and scores are, for segments that have names."""
        return element != "boxes" if self.draw is None else element in self.draw

    def line_px(self, height: int, width: int) -> float:
        """Width of lines on a frame, px; 0: no lines."""
        return self.line_width * frame_scale(height, width)

    def text_px(self, height: int, width: int) -> int:
        """Size of texts on a frame, px."""
        return max(round(self.text_size * frame_scale(height, width)), 1)


def elements(names: str | Iterable[str]) -> tuple[Element, ...]:
    """Elements from their names, or from one text with commas, `masks,labels`.

    Raises:
        OptionError: There is none, or one that is unknown.
    """
    parts = [name.strip() for name in names.split(",")] if isinstance(names, str) else [str(name) for name in names]
    found = tuple(element for element in ELEMENTS if element in parts)
    if not parts or len(set(parts)) != len(found):
        raise OptionError("draw", f"some of {', '.join(ELEMENTS)}, with commas between them", ",".join(parts))
    return found


def frame_scale(height: int, width: int) -> float:
    """What px of a 1080p frame are multiplied with for a frame of another size."""
    return max(math.sqrt(height * width) / _REFERENCE_PX, _LEAST_SCALE)


def _check_number(name: str, value: object, least: float, most: float) -> None:
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:  # type: ignore[operator]
        raise OptionError(name, f"a number from {least:g} to {most:g}", value)
