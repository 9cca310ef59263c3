"""Rectangles: the size of a model's input for a picture, where the model leaves it open.

The smallest rectangle that holds the scaled picture is ultralytics', and right for frames of one size. Photos come in
any shape, and a backend that compiles for each shape of its input, or keeps memory for it, would do so over and over.
For them there are a few common rectangles, at most eleven: those of the shapes that cameras give. Which one a picture
gets depends on its size alone, never on the pictures before it, and is the same on every backend.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

Rectangle = Literal["smallest", "common"]
"""`smallest`: the one that holds the scaled picture, in multiples of the model's stride; `common`: one of a few."""

RECTANGLES: tuple[Rectangle, ...] = get_args(Rectangle)

Size = tuple[int, int]
"""(height, width), px."""

COMMON_SHAPES: tuple[Size, ...] = ((9, 16), (2, 3), (3, 4), (4, 5), (1, 1), (5, 4), (4, 3), (3, 2), (16, 9))
"""The pictures, height to width, whose smallest rectangles are the common ones: 16:9, 3:2, 4:3, 5:4 and the square.

Chosen among the sets that benchmarks/claims/many_shapes.py compares: nine shapes in all, the padding that they add to
photos, and the speed and detections that this costs.
"""


def scaled(frame: Size, size: Size) -> Size:
    """The size of a picture of (height, width) px once it is as large as the model's largest input allows."""
    gain = min(size[0] / frame[0], size[1] / frame[1])
    return max(round(frame[0] * gain), 1), max(round(frame[1] * gain), 1)


def smallest(content: Size, size: Size, multiple: int) -> Size:
    """The smallest input that holds the scaled picture.

    Args:
        content: The scaled picture, px.
        size: The largest input, px.
        multiple: What the sides grow by, px.
    """
    height, width = (side + (whole - side) % multiple for side, whole in zip(content, size, strict=True))
    return height, width


def common(size: Size, multiple: int) -> tuple[Size, ...]:
    """The common inputs, smallest area first: the smallest ones of usual shapes, and the largest input.

    Args:
        size: The largest input, px.
        multiple: What the sides grow by, px.
    """
    return _by_area(COMMON_SHAPES, size, multiple)


@lru_cache(maxsize=16)
def _by_area(shapes: tuple[Size, ...], size: Size, multiple: int) -> tuple[Size, ...]:
    """The smallest inputs of some shapes, and the largest input, smallest area first; asked for with each frame."""
    found = {smallest(scaled(shape, size), size, multiple) for shape in shapes}
    return tuple(sorted({*found, size}, key=lambda each: (each[0] * each[1], each)))


def input_size(content: Size, size: Size, multiple: int, rectangle: Rectangle) -> Size:
    """The input for a scaled picture.

    Args:
        content: The scaled picture, px.
        size: The largest input, px.
        multiple: What the sides grow by, px.
        rectangle: Which one is wanted.
    """
    if rectangle == "smallest":
        return smallest(content, size, multiple)
    height, width = content
    return next(each for each in common(size, multiple) if each[0] >= height and each[1] >= width)
