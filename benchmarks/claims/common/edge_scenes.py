"""Drawings whose objects touch the corners and edges of the frame."""

from __future__ import annotations

from claims.common import harness  # noqa: F401 - says what is missing

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.demo.scenes import compose, draw_background, draw_look
from fastsam_trt.demo.shapes import COLOURS, SHAPES, Item

_SIZES = ((360, 640), (640, 640), (480, 640), (640, 384), (333, 517))  # height, width, px
_RADII_PX = (14.0, 40.0, 110.0)
_SEED = 4_400_000


def draw_edge_scenes() -> list[NDArray[np.uint8]]:
    """Frames (H, W, 3) uint8 BGR of several sizes, with an object in each corner and at the middle of each edge."""
    return [_draw(i, size, radius_px) for i, (size, radius_px) in enumerate((s, r) for s in _SIZES for r in _RADII_PX)]


def _draw(number: int, size: tuple[int, int], radius_px: float) -> NDArray[np.uint8]:
    height, width = size
    generator = np.random.default_rng(_SEED + number)
    places = [(x, y) for y in (0.0, height / 2, float(height)) for x in (0.0, width / 2, float(width))]
    items = [
        Item(list(COLOURS)[i % len(COLOURS)], SHAPES[(number + i) % len(SHAPES)], x, y, radius_px)
        for i, (x, y) in enumerate(places)
        if (x, y) != (width / 2, height / 2)
    ]
    return compose(draw_background(generator, height, width), items, draw_look(generator, height, width)).frame
