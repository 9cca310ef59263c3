"""Lettering: turn one line of text into the coverage of its pixels."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing.fonts import installed_fonts

_RISE, _DEPTH = 0.74, 0.22  # of the size: capitals above the baseline, and letters below it


class Letters(NamedTuple):
    """A line of text.

    Attributes:
        coverage: (h, w) uint8, 0 to 255, not to be written to.
        rise: Number of rows above the baseline.
    """

    coverage: NDArray[np.uint8]
    rise: int


@lru_cache(maxsize=2048)
def draw_letters(text: str, size_px: int) -> Letters:
    """Draw a line of text; lines of one size and script have the same height and rise.

    Args:
        text: Any text. What no font has is replaced as `drawable` says.
        size_px: Of the font.
    """
    from PIL import Image, ImageDraw

    fonts = installed_fonts()
    parts, x = [], 0.0
    top, bottom = -round(_RISE * size_px), round(_DEPTH * size_px)
    for part in fonts.runs(drawable(text)):
        font = fonts.open(part, size_px)
        if font is not None:
            _, above, _, below = font.getbbox(part, anchor="ls")
            top, bottom = min(top, int(above // 1)), max(bottom, int(-(-below // 1)))
            parts.append((part, font, x))
            x += font.getlength(part)
    image = Image.new("L", (max(round(x), 1), bottom - top))
    canvas = ImageDraw.Draw(image)
    for part, font, left in parts:
        canvas.text((left, -top), part, fill=255, font=font, anchor="ls")
    coverage = np.asarray(image, np.uint8)
    coverage.flags.writeable = False
    return Letters(coverage, -top)


def can_draw(text: str) -> bool:
    """Whether all letters and digits of a text can be drawn on this machine, and it is more than symbols."""
    kept = _without_symbols(text)
    return bool(kept.strip()) and (installed_fonts().can_draw(kept) or _plain(kept).isascii())


def drawable(text: str) -> str:
    """The drawable version of a text. If no font has all of it, symbols are dropped, then accents, then letters."""
    if text.isascii() and text.isprintable():
        return text
    text = "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in text)
    for version in (text, _without_symbols(text), _plain(_without_symbols(text))):
        if installed_fonts().can_draw(version):
            return version
    return version.encode("ascii", "replace").decode()


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
