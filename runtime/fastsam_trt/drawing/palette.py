"""Colours of segments, which colour-blind people can tell apart, and the ink that is legible on a colour.

The first seven colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/) without black. The other five were
chosen one after the other: of the saturated colours that are neither dark nor pale, the one that differs most from
those before it. The difference is that for the reader to whom it is smallest: one with normal vision, protanopia,
deuteranopia or tritanopia. Any two of the twelve colours differ by 10.8 (CIEDE2000) or more for each of these readers.
"""

from __future__ import annotations

from collections.abc import Iterable

Colour = tuple[int, int, int]
"""BGR, 0 to 255."""

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)

COLOURS: tuple[Colour, ...] = (
    (233, 180, 86), (0, 159, 230), (115, 158, 0), (66, 228, 240), (178, 114, 0), (0, 94, 213), (167, 121, 204),
    (195, 255, 135), (120, 15, 180), (30, 0, 195), (255, 120, 135), (120, 210, 150),
)  # fmt: skip
"""In the order in which they are used."""


def palette(keys: Iterable[int]) -> list[Colour]:
    """A colour per key, such as a track or class id; equal keys have equal colours, always."""
    return [COLOURS[key % len(COLOURS)] for key in keys]


def ink_on(ground: Colour) -> Colour:
    """Black or white, whichever has the higher contrast to a ground: 4.58 or more, for any ground."""
    return max(BLACK, WHITE, key=lambda ink: contrast(ink, ground))


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio).

    Text needs 4.5 (success criterion 1.4.3, level AA).
    """
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    """Relative luminance, 0..1, of sRGB."""
    shares = (value / 255 for value in colour)
    blue, green, red = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.0722 * blue + 0.7152 * green + 0.2126 * red
