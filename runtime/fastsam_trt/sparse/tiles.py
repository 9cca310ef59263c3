"""Tiles: equal squares of a feature map that cover the parts that the masks of some segments depend on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 12
"""Side of a tile, cells. The network computes a tile with a margin, so smaller ones cost more per cell; larger ones
cover more than is needed. Measured with YOLOv8n-seg and FastSAM-s (OpenVINO, fp32 and bf16), small objects take as long
with sides of 8 and 12, large ones least with 12."""

LADDER = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256)
"""Numbers of tiles per run: few, because a backend prepares each number when it comes for the first time."""

_CELL_FACTOR = 1.1  # time per cell in tiles, as a part of that in the whole map; measured as above: 1.0 to 1.15


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
    """Cover windows of a feature map by tiles of a grid that the largest window begins.

    Args:
        windows: (n, 4) top, left, bottom, right of each window, whole cells, not empty, bottom and right exclusive.
        height, width: Size of the map, cells.

    Returns:
        The tiles, row by row; None if the whole map is less work.
    """
    sides = windows[:, 2:] - windows[:, :2]
    first = windows[sides.prod(axis=1).argmax(), :2]
    origin = -(-first % SIDE)  # at most 0, so that the grid covers the map
    low, high = (windows[:, :2] - origin) // SIDE, -(-(windows[:, 2:] - origin) // SIDE)
    touched = np.zeros(high.max(axis=0), np.bool_)
    for (top, left), (bottom, right) in zip(low.tolist(), high.tolist(), strict=True):
        touched[top:bottom, left:right] = True
    rows, columns = np.nonzero(touched)
    if rung(len(rows)) * SIDE**2 * _CELL_FACTOR >= height * width:
        return None
    return Tiles(rows * SIDE + origin[0], columns * SIDE + origin[1], SIDE, SIDE)


def tile_around(windows: NDArray[np.intp]) -> Tiles:
    """The one tile, of whatever size, that covers all windows; see `tiles_under`."""
    top, left = windows[:, :2].min(axis=0)
    bottom, right = windows[:, 2:].max(axis=0)
    return Tiles(np.array([top]), np.array([left]), int(bottom - top), int(right - left))


def halves(height: int, width: int) -> Tiles:
    """The whole map as two tiles, one above the other: each thread of a processor takes one."""
    side = -(-height // 2)
    return Tiles(np.array([0, side]), np.zeros(2, np.intp), side, width)
