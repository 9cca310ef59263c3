"""Labels: draw texts, tags and numbers on images.

ASCII is drawn in OpenCV's built-in font; other scripts by Pillow, in an installed font that has all the characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing.fonts import installed_fonts

Colour = tuple[int, int, int]
INK: Colour = (30, 30, 30)
"""BGR, for text on white."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)
_MOST_STEPS = 6  # text heights by which a tag may move down


class Tags:
    """Tags on one image: texts on filled rectangles. A tag moves down to avoid earlier tags if there is room below."""

    def __init__(self, image: NDArray[np.uint8], scale: float | None = None) -> None:
        """Prepare to draw on an image.

        Args:
            image: (H, W, 3) uint8 BGR, modified in place.
            scale: OpenCV's font scale; None: chosen by the size of the image.
        """
        self._image = image
        self._scale = max(0.4, min(image.shape[:2]) / 1200) if scale is None else scale
        self._thickness = max(1, round(self._scale * 1.5))
        self._taken = np.zeros(image.shape[:2], np.bool_)

    def draw(self, text: str, left: int, top: int, colour: Colour) -> None:
        """Draw a text above a corner (px), moved into the image if need be, on a rectangle of a BGR colour."""
        text = _drawable(text)
        width, height, base = _measure(text, self._scale, self._thickness)
        tall = height + base
        left = min(max(left, 0), max(self._image.shape[1] - width, 0))
        first = max(top, tall)
        room = range(first, max(min(self._image.shape[0], first + _MOST_STEPS * tall), first) + 1, tall + 1)
        free = (low for low in room if not self._taken[low - tall : low, left : left + width].any())
        low = next(free, first)
        self._taken[low - tall : low, left : left + width] = True
        cv2.rectangle(self._image, (left, low - tall), (left + width, low), colour, cv2.FILLED)
        _put(self._image, text, left, low - base // 2 - 1, self._scale, self._thickness, _BLACK)


def badge(image: NDArray[np.uint8], text: str, x: int, y: int, radius_px: int) -> None:
    """Draw a short text in a white disc around a point, px, of (H, W, 3) uint8 BGR."""
    cv2.circle(image, (x, y), radius_px, _WHITE, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(image, (x, y), radius_px, INK, 1, cv2.LINE_AA)
    scale = radius_px / (22 if len(text) < 2 else 28)
    (width, height), _ = cv2.getTextSize(text, _FONT, scale, 1)
    cv2.putText(image, text, (x - width // 2, y + height // 2), _FONT, scale, _BLACK, 1, cv2.LINE_AA)


def write(image: NDArray[np.uint8], text: str, left: int, baseline: int, *, scale: float, thickness: int = 1) -> None:
    """Write one line in dark ink from a point on its baseline, px, on (H, W, 3) uint8 BGR."""
    _put(image, _drawable(text), left, baseline, scale, thickness, INK)


def width_px(text: str, scale: float, thickness: int = 1) -> int:
    """The width of a text as `write` draws it."""
    return _measure(_drawable(text), scale, thickness)[0]


def cut(text: str, most_px: int, scale: float, thickness: int = 1) -> str:
    """Shorten a text, with three dots at its end, so that `write` draws it no wider than a limit."""
    if width_px(text, scale, thickness) <= most_px:
        return text
    while text and width_px(text + "...", scale, thickness) > most_px:
        text = text[:-1]
    return text.rstrip() + "..."


def wrap(parts: Iterable[str], most_px: int, scale: float, gap: str = "   ") -> list[str]:
    """Join parts into lines that `write` draws no wider than a limit. A part that is too wide for a line is cut."""
    lines = list[str]()
    for part in parts:
        if lines and width_px(lines[-1] + gap + part, scale) <= most_px:
            lines[-1] += gap + part
        else:
            lines.append(cut(part, most_px, scale))
    return lines


def can_write(text: str) -> bool:
    """Whether all letters and digits of a text can be drawn on this machine, and it is more than symbols."""
    kept = text if text.isascii() else _without_symbols(text)
    return bool(kept.strip()) and (kept.isascii() or installed_fonts().can_draw(kept) or _plain(kept).isascii())


def _drawable(text: str) -> str:
    """The drawable version of a text. If no font has all of it, symbols are dropped, then accents, then letters."""
    if text.isascii() or installed_fonts().can_draw(text):
        return text
    text = _without_symbols(text)
    if text.isascii() or installed_fonts().can_draw(text):
        return text
    return _plain(text).encode("ascii", "replace").decode()


def _without_symbols(text: str) -> str:
    """A text without the symbols, such as emoji, that no font has."""
    kept = (char for char in text if char.isascii() or _is_letter(char) or installed_fonts().can_draw(char))
    return "".join(kept)


def _plain(text: str) -> str:
    """A text without accents."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(char for char in parts if not unicodedata.combining(char))


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def _measure(text: str, scale: float, thickness: int) -> tuple[int, int, int]:
    """Width of a text, its height above the baseline and its depth below, px."""
    (width, height), base = cv2.getTextSize(text if text.isascii() else "Ag", _FONT, scale, thickness)
    if text.isascii():
        return width, height, base
    letters, rise = _letters(text, _font_px(scale))
    return letters.shape[1], max(height, rise), max(base, letters.shape[0] - rise)


def _put(
    image: NDArray[np.uint8], text: str, left: int, baseline: int, scale: float, thickness: int, colour: Colour
) -> None:
    if text.isascii():
        cv2.putText(image, text, (left, baseline), _FONT, scale, colour, thickness, cv2.LINE_AA)
        return
    letters, rise = _letters(text, _font_px(scale))
    x0, y0 = max(left, 0), max(baseline - rise, 0)
    region = image[y0 : max(baseline - rise + letters.shape[0], 0), x0 : max(left + letters.shape[1], 0)]
    alpha = letters[y0 - baseline + rise :, x0 - left :][: region.shape[0], : region.shape[1], None].astype(np.uint16)
    region[:] = (region * (255 - alpha) + np.array(colour, np.uint16) * alpha + 127) // 255


def _font_px(scale: float) -> int:
    """The font size at which capitals are as high as those of OpenCV's font at a scale."""
    return max(round(30 * scale), 8)


@lru_cache(maxsize=256)
def _letters(text: str, size_px: int) -> tuple[NDArray[np.uint8], int]:
    """A text as (h, w) uint8 coverage, 0 to 255, and the number of rows above the baseline."""
    from PIL import Image, ImageDraw

    font = installed_fonts().open(text, size_px)
    if font is None:
        raise ValueError(f"expected a text that an installed font can draw, found {text!r}")
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text, anchor="ls"))
    image = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=font, anchor="ls")
    return np.asarray(image, np.uint8), -top
