"""Lettering: texts, tags and numbers drawn on pictures, in OpenCV's fonts."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
INK: Colour = (30, 30, 30)
"""BGR, for texts on white."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)
_MOST_STEPS = 6  # heights that a tag may move down from its segment


class Tags:
    """Texts on filled grounds, on one picture; a later one keeps off the earlier ones where there is room below."""

    def __init__(self, picture: NDArray[np.uint8], scale: float | None = None) -> None:
        """Begin.

        Args:
            picture: (H, W, 3) uint8 BGR, drawn on.
            scale: Of the font; None: as fits the picture.
        """
        self._picture = picture
        self._scale = max(0.4, min(picture.shape[:2]) / 1200) if scale is None else scale
        self._thickness = max(1, round(self._scale * 1.5))
        self._taken = np.zeros(picture.shape[:2], np.bool_)

    def draw(self, text: str, left: int, top: int, colour: Colour) -> None:
        """Draw a text just above a corner (px), moved into the picture, on a ground of a BGR colour."""
        text = _ascii(text)
        (width, height), base = cv2.getTextSize(text, _FONT, self._scale, self._thickness)
        tall = height + base
        left = min(max(left, 0), max(self._picture.shape[1] - width, 0))
        first = max(top, tall)
        room = range(first, max(min(self._picture.shape[0], first + _MOST_STEPS * tall), first) + 1, tall + 1)
        free = (low for low in room if not self._taken[low - tall : low, left : left + width].any())
        low = next(free, first)
        self._taken[low - tall : low, left : left + width] = True
        cv2.rectangle(self._picture, (left, low - tall), (left + width, low), colour, cv2.FILLED)
        place = (left, low - base // 2 - 1)
        cv2.putText(self._picture, text, place, _FONT, self._scale, _BLACK, self._thickness, cv2.LINE_AA)


def badge(picture: NDArray[np.uint8], text: str, x: int, y: int, radius_px: int) -> None:
    """Draw a short text in a white disc around a point, px, of (H, W, 3) uint8 BGR."""
    cv2.circle(picture, (x, y), radius_px, _WHITE, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(picture, (x, y), radius_px, INK, 1, cv2.LINE_AA)
    scale = radius_px / (22 if len(text) < 2 else 28)
    (width, height), _ = cv2.getTextSize(text, _FONT, scale, 1)
    cv2.putText(picture, text, (x - width // 2, y + height // 2), _FONT, scale, _BLACK, 1, cv2.LINE_AA)


def write(picture: NDArray[np.uint8], text: str, left: int, baseline: int, *, scale: float, thickness: int = 1) -> None:
    """Write one line in dark ink from a point on its baseline, px, on (H, W, 3) uint8 BGR."""
    cv2.putText(picture, _ascii(text), (left, baseline), _FONT, scale, INK, thickness, cv2.LINE_AA)


def width_px(text: str, scale: float, thickness: int = 1) -> int:
    """How wide `write` makes a text."""
    return int(cv2.getTextSize(_ascii(text), _FONT, scale, thickness)[0][0])


def cut(text: str, most_px: int, scale: float, thickness: int = 1) -> str:
    """A text that `write` makes no wider than a limit; what is cut off becomes three dots."""
    if width_px(text, scale, thickness) <= most_px:
        return text
    while text and width_px(text + "...", scale, thickness) > most_px:
        text = text[:-1]
    return text.rstrip() + "..."


def wrap(parts: Iterable[str], most_px: int, scale: float, gap: str = "   ") -> list[str]:
    """Lines of whole parts that `write` makes no wider than a limit; a part that is wider alone is cut."""
    lines = list[str]()
    for part in parts:
        if lines and width_px(lines[-1] + gap + part, scale) <= most_px:
            lines[-1] += gap + part
        else:
            lines.append(cut(part, most_px, scale))
    return lines


def _ascii(text: str) -> str:
    """OpenCV's fonts have ASCII only; other characters become '?'."""
    return text.encode("ascii", "replace").decode("ascii")
