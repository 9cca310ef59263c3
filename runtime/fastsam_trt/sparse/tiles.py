"""Tiles: equal squares of a feature map that cover the parts that the masks of some segments depend on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDES = (8, 12)
"""Sides of tiles, cells. The network computes a tile with a margin, so smaller ones cost more per cell; larger ones
cover more than is needed. Tiles of 16 were slower than both."""

LADDER = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256)
"""Numbers of tiles per run: few, because a backend prepares each number when it comes for the first time."""

# Measured with YOLOv8n-seg and FastSAM-s (OpenVINO in fp32 and bf16, with and without AMX):
_EDGE = 2  # cells that a tile's side is longer in work than in size: a part of its margin
_WHOLE_FACTOR = 1.3  # work per cell of the whole map, in cells of such longer tiles


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """Tiles of one size. They may lie partly outside the map.

    Attributes:
        tops, lefts: (k,) first row and first column of each, cells.
        height, width: Size of each, cells.
    """

    tops: NDArray[np.intp]
    lefts: NDArray[np.intp]
    height: int
    width: int


def rung(count: int) -> int:
    """The smallest number of the ladder that is at least `count`; beyond the ladder, `count` itself."""
    return next((step for step in LADDER if step >= count), count)


def tiles_under(windows: NDArray[np.intp], height: int, width: int) -> Tiles | None:
    """Cover windows of a feature map by tiles of the side that is least work.

    Args:
        windows: (n, 4) top, left, bottom, right of each window, whole cells, not empty, bottom and right exclusive.
        height, width: Size of the map, cells.

    Returns:
        The tiles, row by row; None if the whole map is less work.
    """
    tiles = min((_grid(windows, side) for side in SIDES), key=_work)
    return tiles if _work(tiles) < _WHOLE_FACTOR * height * width else None


def _grid(windows: NDArray[np.intp], side: int) -> Tiles:
    """The tiles that windows touch, in a grid that the largest window begins."""
    sizes = windows[:, 2:] - windows[:, :2]
    first = windows[sizes.prod(axis=1).argmax(), :2]
    origin = -(-first % side)  # at most 0, so that the grid covers the map
    low, high = (windows[:, :2] - origin) // side, -(-(windows[:, 2:] - origin) // side)
    touched = np.zeros(high.max(axis=0), np.bool_)
    for (top, left), (bottom, right) in zip(low.tolist(), high.tolist(), strict=True):
        touched[top:bottom, left:right] = True
    rows, columns = np.nonzero(touched)
    return Tiles(rows * side + origin[0], columns * side + origin[1], side, side)


def _work(tiles: Tiles) -> int:
    """The work of tiles, in cells."""
    return rung(len(tiles.tops)) * (tiles.height + _EDGE) ** 2


def tile_around(windows: NDArray[np.intp]) -> Tiles:
    """The one tile, of whatever size, that covers all windows; see `tiles_under`."""
    top, left = windows[:, :2].min(axis=0)
    bottom, right = windows[:, 2:].max(axis=0)
    return Tiles(np.array([top]), np.array([left]), int(bottom - top), int(right - left))


def halves(height: int, width: int) -> Tiles:
    """The whole map as two tiles, one above the other: each thread of a processor takes one."""
    side = -(-height // 2)
    return Tiles(np.array([0, side]), np.zeros(2, np.intp), side, width)
