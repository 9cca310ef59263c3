"""Rectangles: the size of a model's input for an image, for models whose input has no fixed size.

The smallest rectangle that holds the scaled image is what ultralytics uses, and right for frames of one size. Photos
have any shape, and a backend that compiles or allocates memory for each input shape would do so again and again. For
photos there are a few common rectangles, at most eleven: those of the usual camera formats. The rectangle of an image
depends on its size alone, never on earlier images, and is the same on every backend.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

Rectangle = Literal["smallest", "common"]
"""`smallest`: holds the scaled image, in multiples of the model's stride; `common`: one of a few for all images."""

RECTANGLES: tuple[Rectangle, ...] = get_args(Rectangle)

Size = tuple[int, int]
"""(height, width), px."""

COMMON_SHAPES: tuple[Size, ...] = ((9, 16), (2, 3), (3, 4), (4, 5), (1, 1), (5, 4), (4, 3), (3, 2), (16, 9))
"""Aspect ratios, height to width, whose smallest rectangles are the common ones: 16:9, 3:2, 4:3, 5:4 and the square.

Chosen among the sets that benchmarks/claims/many_shapes.py compares by the padding that they add to photos, and by what
that costs in speed and detections.
"""


def scaled(frame: Size, size: Size) -> Size:
    """The size of a frame of (height, width) px, scaled to fit the model's largest input."""
    gain = min(size[0] / frame[0], size[1] / frame[1])
    return max(round(frame[0] * gain), 1), max(round(frame[1] * gain), 1)


def smallest(content: Size, size: Size, multiple: int) -> Size:
    """The smallest input that holds the scaled image.

    Args:
        content: Size of the scaled image, px.
        size: Size of the largest input, px.
        multiple: The sides are multiples of this, px.
    """
    height, width = (side + (whole - side) % multiple for side, whole in zip(content, size, strict=True))
    return height, width


def common(size: Size, multiple: int) -> tuple[Size, ...]:
    """The common inputs, smallest area first: the smallest ones of usual aspect ratios, and the largest input.

    Args:
        size: Size of the largest input, px.
        multiple: The sides are multiples of this, px.
    """
    return _by_area(COMMON_SHAPES, size, multiple)


@lru_cache(maxsize=16)
def _by_area(shapes: tuple[Size, ...], size: Size, multiple: int) -> tuple[Size, ...]:
    """The smallest inputs of some aspect ratios, and the largest input, smallest area first; needed for every frame."""
    sizes = {smallest(scaled(shape, size), size, multiple) for shape in shapes}
    return tuple(sorted({*sizes, size}, key=lambda side: (side[0] * side[1], side)))


def input_size(content: Size, size: Size, multiple: int, rectangle: Rectangle) -> Size:
    """The size of the input for a scaled image.

    Args:
        content: Size of the scaled image, px.
        size: Size of the largest input, px.
        multiple: The sides are multiples of this, px.
        rectangle: Which rectangle to use.
    """
    if rectangle == "smallest":
        return smallest(content, size, multiple)
    height, width = content
    return next(side for side in common(size, multiple) if side[0] >= height and side[1] >= width)
