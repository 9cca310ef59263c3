"""The demo's coloured shapes: outlines, colours, and how much of each pixel an item covers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

COLOURS: dict[str, tuple[int, int, int]] = {  # BGR
    "red": (40, 35, 220),
    "orange": (20, 130, 250),
    "yellow": (40, 225, 245),
    "green": (60, 170, 40),
    "cyan": (215, 210, 40),
    "blue": (215, 80, 30),
    "purple": (170, 45, 125),
    "pink": (190, 130, 255),
}
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross", "heart", "crescent")

_SUPERSAMPLE = 4  # soft edges: drawn this many times larger, then averaged
_SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True)
class Item:
    """One coloured shape.

    Attributes:
        colour, shape: Names from `COLOURS` and `SHAPES`.
        x, y: Centre, px of the frame; it may lie outside.
        radius_px: Radius of the circle around it.
        angle: Rotation, radians.
        tint: Added to each channel (BGR) of the pure colour.
    """

    colour: str
    shape: str
    x: float
    y: float
    radius_px: float
    angle: float = 0.0
    tint: tuple[int, int, int] = (0, 0, 0)

    @property
    def bgr(self) -> tuple[int, int, int]:
        """The colour that it is drawn in."""
        blue, green, red = (min(max(c + t, 0), 255) for c, t in zip(COLOURS[self.colour], self.tint, strict=True))
        return blue, green, red


@cache
def outline(shape: str) -> tuple[NDArray[np.float64], ...]:
    """The closed lines of a shape around (0, 0), each (k, 2) x and y, inside the circle of radius 1.

    A point is inside the shape if an odd number of the lines surrounds it.

    Raises:
        KeyError: There is no such shape.
    """
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    arm = 0.32
    reach = float(np.sqrt(1 - arm**2))
    heart_x = 16 * np.sin(turn) ** 3
    heart_y = -(13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn))
    # A crescent: the outer arc of a circle, then back along a circle of the same size moved to the right.
    tip = np.arccos(0.25)
    outer = np.linspace(tip, 2 * np.pi - tip, 48)
    inner = np.linspace(np.pi + tip, np.pi - tip, 48)
    crescent = [
        np.stack([np.cos(outer), np.sin(outer)], axis=1),
        np.stack([0.5 + np.cos(inner), np.sin(inner)], axis=1),
    ]
    points = -np.pi / 2 + np.arange(10) * np.pi / 5
    radii = np.where(np.arange(10) % 2 == 0, 1.0, 0.42)
    return {
        "circle": (0.9 * circle,),
        "square": (np.array([[-0.7, -0.7], [0.7, -0.7], [0.7, 0.7], [-0.7, 0.7]]),),
        "triangle": (np.stack([np.cos(-np.pi / 2 + np.arange(3) * 2 * np.pi / 3),
                               np.sin(-np.pi / 2 + np.arange(3) * 2 * np.pi / 3)], axis=1),),
        "star": (np.stack([radii * np.cos(points), radii * np.sin(points)], axis=1),),
        "ring": (0.95 * circle, 0.52 * circle),
        "cross": (np.array([[-arm, -reach], [arm, -reach], [arm, -arm], [reach, -arm], [reach, arm], [arm, arm],
                            [arm, reach], [-arm, reach], [-arm, arm], [-reach, arm], [-reach, -arm], [-arm, -arm]]),),
        "heart": (np.stack([heart_x, heart_y], axis=1) / 18,),
        "crescent": (np.concatenate(crescent),),
    }[shape]  # fmt: skip


@cache
def area(shape: str) -> float:
    """Area of a shape at radius 1: that of its outer line minus the holes (shoelace formula)."""
    areas = [abs(float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))) / 2 for x, y in (o.T for o in outline(shape))]
    return areas[0] - sum(areas[1:])


def coverage(item: Item, height: int, width: int) -> tuple[slice, slice, NDArray[np.float32]]:
    """How much of each pixel an item covers, inside its box.

    Args:
        item: The item.
        height, width: Size of the frame, px.

    Returns:
        Rows and columns of the box, clipped to the frame, and its coverage (h, w) float32 in 0..1; h or w may be 0.
    """
    x0, x1 = int(np.floor(item.x - item.radius_px)) - 1, int(np.ceil(item.x + item.radius_px)) + 2
    y0, y1 = int(np.floor(item.y - item.radius_px)) - 1, int(np.ceil(item.y + item.radius_px)) + 2
    canvas = np.zeros(((y1 - y0) * _SUPERSAMPLE, (x1 - x0) * _SUPERSAMPLE), np.uint8)
    turned = np.array([[np.cos(item.angle), np.sin(item.angle)], [-np.sin(item.angle), np.cos(item.angle)]])
    offset = np.array([item.x - x0, item.y - y0])
    lines = [
        np.rint(((line @ turned * item.radius_px + offset) * _SUPERSAMPLE - 0.5) * (1 << _SUBPIXEL_BITS)).astype(
            np.int32
        )
        for line in outline(item.shape)
    ]
    cv2.fillPoly(canvas, lines, 255, cv2.LINE_8, _SUBPIXEL_BITS)
    soft = cv2.resize(canvas, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA).astype(np.float32)
    soft /= 255
    top, left = min(max(y0, 0), height), min(max(x0, 0), width)
    bottom, right = max(min(y1, height), top), max(min(x1, width), left)
    return slice(top, bottom), slice(left, right), soft[top - y0 : bottom - y0, left - x0 : right - x0]
