"""Sets of input rectangles for pictures, named by the shapes of pictures that they fit exactly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from claims.common import harness  # noqa: F401 - reports what is missing if fastsam_trt can't be imported

# isort: split
from fastsam_trt.frames import rectangles
from fastsam_trt.frames.rectangles import Rectangle, Size, input_size, scaled

SMALLEST = "smallest"
"""No set: each picture gets the smallest rectangle that contains it."""

SQUARE = "1:1"
"""The whole square input for every picture."""

SETS: dict[str, tuple[Size, ...]] = {
    SQUARE: ((1, 1),),
    "1:1 4:3 16:9": ((1, 1), (3, 4), (9, 16)),
    "1:1 5:4 4:3 16:9": ((1, 1), (4, 5), (3, 4), (9, 16)),
    "1:1 4:3 3:2 16:9": ((1, 1), (3, 4), (2, 3), (9, 16)),
    "1:1 4:3 16:9 2:1": ((1, 1), (3, 4), (9, 16), (1, 2)),
    "1:1 4:3 16:9 21:9": ((1, 1), (3, 4), (9, 16), (9, 21)),
    "1:1 5:4 4:3 16:9 2:1": ((1, 1), (4, 5), (3, 4), (9, 16), (1, 2)),
    "1:1 5:4 4:3 3:2 16:9": ((1, 1), (4, 5), (3, 4), (2, 3), (9, 16)),
}
"""Name to shapes of pictures, (height, width); each also stands for its upright form."""


@contextmanager
def using(name: str) -> Iterator[Rectangle]:
    """Make a set the common one within a `with` block; yields the rectangle to request there."""
    if name == SMALLEST:
        yield "smallest"
        return
    with mock.patch.object(rectangles, "COMMON_SHAPES", shapes(name)):
        yield "common"


def shapes(name: str) -> tuple[Size, ...]:
    """The shapes of a set, in both orientations."""
    return tuple(dict.fromkeys(shape for flat in SETS[name] for shape in (flat, flat[::-1])))


def chosen() -> str:
    """The name of the set that the runtime uses."""
    return next(name for name in SETS if set(shapes(name)) == set(rectangles.COMMON_SHAPES))


def area(name: str, frame: Size, side: int, multiple: int) -> int:
    """Pixels of the input for a picture of (height, width), where the largest input is a square of `side` px."""
    with using(name) as rectangle:
        height, width = input_size(scaled(frame, (side, side)), (side, side), multiple, rectangle)
    return height * width
