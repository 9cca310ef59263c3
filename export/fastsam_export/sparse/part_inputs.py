"""Compute the indices that the heads and masks graphs take, for chosen anchors, whole levels, and tiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.session import Array
from fastsam_export.sparse.branches import Level


def around(level: Level, shape: tuple[int, ...], anchors: NDArray[np.int64], reach: int) -> dict[str, Array]:
    """One patch around each anchor of a level.

    Args:
        level: The level.
        shape: (n, h, w, c) of its features.
        anchors: (k, 3): image, row, column.
        reach: Cells around an anchor, on each side.
    """
    ring = np.arange(-reach, reach + 1)
    image, row, column = anchors.T[:, :, None]
    found = _patches(shape, image, row + ring, column + ring)
    return _of_level(level, found, np.arange(len(anchors)))


def whole(level: Level, shape: tuple[int, ...], image: int, reach: int) -> dict[str, Array]:
    """One patch that is a whole level of an image, with a ring of cells outside it. All anchors are picked."""
    _, height, width, _ = shape
    rows, columns = (np.arange(-reach, length + reach)[None] for length in (height, width))
    return _of_level(level, _patches(shape, np.array([[image]]), rows, columns), np.arange(height * width))


def tiles(shape: tuple[int, ...], firsts: NDArray[np.int64], size: tuple[int, int], margin: int) -> dict[str, Array]:
    """Tiles of a feature map, which may lie partly outside it.

    Args:
        shape: (n, h, w, c) of the map.
        firsts: (k, 3): image, first row and first column of each tile.
        size: Rows and columns of all tiles.
        margin: Cells around a tile, on each side.
    """
    image, row, column = firsts.T[:, :, None]
    along_y, along_x = (np.arange(-margin, length + margin) for length in size)
    cells, inside = _patches(shape, image, row + along_y, column + along_x)
    return {"tile_cells": cells, "tile_inside": inside}


def _of_level(level: Level, found: tuple[Array, Array], picks: NDArray[np.int64]) -> dict[str, Array]:
    cells, inside = found
    return {
        f"cells_{level.stride}": cells,
        f"inside_{level.stride}": inside,
        f"picks_{level.stride}": picks.astype(np.int64),
    }


def _patches(
    shape: tuple[int, ...], image: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[Array, Array]:
    """The cells and the mask of the rows (k, y) and columns (k, x) of an image (k, 1) each."""
    _, height, width, _ = shape
    inside_rows, inside_columns = ((at >= 0) & (at < end) for at, end in ((rows, height), (columns, width)))
    first = (image * height + rows.clip(0, height - 1)) * width
    cells = np.ascontiguousarray(first[:, :, None] + columns.clip(0, width - 1)[:, None, :], np.int64)
    return cells, (inside_rows[:, :, None] & inside_columns[:, None, :]).astype(np.float32)
