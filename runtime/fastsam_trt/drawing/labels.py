"""Labels: texts on the colour of their segment, and lines of text and numbers on images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing.lettering import Letters, draw_letters, drawable
from fastsam_trt.drawing.palette import WHITE, Colour, ink_on

INK: Colour = (30, 30, 30)
"""BGR, for text on white."""

_ELLIPSIS = "..."
_LEAST_LETTERS = 3  # before an ellipsis


class Label:
    """Words on a filled, rounded rectangle.

    Attributes:
        width, height: Of the rectangle, px.
    """

    __slots__ = ("_gap", "_left", "_letters", "_rise", "_top", "height", "width")

    def __init__(self, words: Sequence[str], size_px: int) -> None:
        """Measure the label.

        Args:
            words: The parts of the text, which are drawn with a space between them. Each is kept for other labels.
            size_px: Size of the font.
        """
        shown = filter(None, (" ".join(drawable(word).split()) for word in words))
        self._letters = [draw_letters(word, size_px) for word in shown]
        self._gap = max(round(0.28 * size_px), 1)
        self._left = max(round(0.3 * size_px), 2)
        self._top = max(round(0.16 * size_px), 1)
        self._rise = max((letters.rise for letters in self._letters), default=0)
        depth = max((letters.coverage.shape[0] - letters.rise for letters in self._letters), default=0)
        written = sum(letters.coverage.shape[1] for letters in self._letters) + self._gap * max(
            len(self._letters) - 1, 0
        )
        self.width = written + 2 * self._left
        self.height = self._rise + depth + 2 * self._top

    @classmethod
    def fitted(cls, words: Sequence[str], size_px: int, most_px: int) -> Self:
        """A label whose first word is cut until it is no wider than a limit, if a few letters can be kept."""
        label = cls(words, size_px)
        if label.width <= most_px or not words:
            return label
        first = cut(words[0], most_px - (label.width - width_px(words[0], size_px)), size_px, _LEAST_LETTERS)
        return cls([first, *words[1:]], size_px)

    def draw(self, image: NDArray[np.uint8], left: int, top: int, ground: Colour) -> None:
        """Draw the label with its corner at a point, px, inside (H, W, 3) uint8 BGR; black or white on the ground."""
        written = np.zeros((self.height, self.width), np.uint8)
        x = self._left
        for coverage, rise in self._letters:
            y = self._top + self._rise - rise
            written[y : y + coverage.shape[0], x : x + coverage.shape[1]] = coverage
            x += coverage.shape[1] + self._gap
        label = np.asarray(cv2.applyColorMap(written, _shades(ground)), np.uint8)
        region = image[top : top + self.height, left : left + self.width]
        radius = max(self.height // 5, 2)
        for rows, columns, share in _corners(radius):
            label[rows, columns] = np.rint(region[rows, columns] * (1 - share) + label[rows, columns] * share)
        region[:] = label


def badge(image: NDArray[np.uint8], text: str, x: int, y: int, radius_px: int) -> None:
    """Draw a short text in a white disc around a point, px, of (H, W, 3) uint8 BGR."""
    cv2.circle(image, (x, y), radius_px, WHITE, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(image, (x, y), radius_px, INK, 1, cv2.LINE_AA)
    letters = draw_letters(text, round(radius_px * (1.35 if len(text) < 2 else 1.05)))
    _stamp(image, letters, x - letters.coverage.shape[1] // 2, y + letters.rise // 2, (0, 0, 0))


def write(image: NDArray[np.uint8], text: str, left: int, baseline: int, size_px: int) -> None:
    """Write one line in dark ink from a point on its baseline, px, on (H, W, 3) uint8 BGR."""
    _stamp(image, draw_letters(text, size_px), left, baseline, INK)


def width_px(text: str, size_px: int) -> int:
    """The width of a text as `write` draws it."""
    return int(draw_letters(text, size_px).coverage.shape[1])


def cut(text: str, most_px: int, size_px: int, least: int = 0) -> str:
    """Shorten a text, with three dots at its end, so that `write` draws it no wider than a limit.

    Args:
        text: The text.
        most_px: The limit.
        size_px: Size of the font.
        least: Letters to keep in any case.
    """
    if width_px(text, size_px) <= most_px:
        return text
    fits, long = least, max(len(text) - 1, least)
    while fits < long:
        middle = (fits + long + 1) // 2
        if width_px(text[:middle].rstrip() + _ELLIPSIS, size_px) <= most_px:
            fits = middle
        else:
            long = middle - 1
    return text[:fits].rstrip() + _ELLIPSIS


def wrap(parts: Iterable[str], most_px: int, size_px: int, gap: str = "   ") -> list[str]:
    """Join parts into lines that `write` draws no wider than a limit. A part that is too wide for a line is cut."""
    lines = list[str]()
    for part in parts:
        if lines and width_px(lines[-1] + gap + part, size_px) <= most_px:
            lines[-1] += gap + part
        else:
            lines.append(cut(part, most_px, size_px))
    return lines


def _stamp(image: NDArray[np.uint8], letters: Letters, left: int, baseline: int, ink: Colour) -> None:
    """Blend letters into an image; what lies outside it is left out."""
    coverage, rise = letters
    y0, x0 = max(baseline - rise, 0), max(left, 0)
    y1, x1 = max(baseline - rise + coverage.shape[0], 0), max(left + coverage.shape[1], 0)
    region = image[y0:y1, x0:x1]
    alpha = coverage[y0 - baseline + rise :, x0 - left :][: region.shape[0], : region.shape[1], None].astype(np.uint16)
    region[:] = (region * (255 - alpha) + np.array(ink, np.uint16) * alpha + 127) // 255


@lru_cache(maxsize=64)
def _shades(ground: Colour) -> NDArray[np.uint8]:
    """The colour of a label by the coverage of its letters, (256, 1, 3) uint8 BGR."""
    share = np.linspace(0, 1, 256)[:, None, None]
    return np.rint(np.array(ground) * (1 - share) + np.array(ink_on(ground)) * share).astype(np.uint8)


@lru_cache(maxsize=64)
def _corners(radius: int) -> list[tuple[slice, slice, NDArray[np.float32]]]:
    """Rows, columns and coverage (r, r, 1), 0..1, of the four corners of a rectangle with round corners."""
    away = radius - (np.arange(radius) + 0.5)
    share = np.clip(radius + 0.5 - np.hypot(away[:, None], away), 0, 1).astype(np.float32)[..., None]
    low, high = slice(0, radius), slice(-radius, None)
    return [
        (low, low, share), (low, high, share[:, ::-1]), (high, low, share[::-1]), (high, high, share[::-1, ::-1])
    ]  # fmt: skip
