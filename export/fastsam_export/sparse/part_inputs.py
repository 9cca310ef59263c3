"""Compute the indices that the heads and masks graphs take, for chosen anchors or for whole levels."""

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
    return _patches(level, shape, image, row + ring, column + ring, np.arange(len(anchors)))


def whole(level: Level, shape: tuple[int, ...], image: int, reach: int) -> dict[str, Array]:
    """One patch that is a whole level of an image, with a ring of cells outside it. All anchors are picked."""
    _, height, width, _ = shape
    rows, columns = (np.arange(-reach, length + reach)[None] for length in (height, width))
    return _patches(level, shape, np.array([[image]]), rows, columns, np.arange(height * width))


def _patches(
    level: Level,
    shape: tuple[int, ...],
    image: NDArray[np.int64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    picks: NDArray[np.int64],
) -> dict[str, Array]:
    """Patches of the rows (k, y) and columns (k, x) of an image (k, 1) each."""
    _, height, width, _ = shape
    inside_rows, inside_columns = ((at >= 0) & (at < end) for at, end in ((rows, height), (columns, width)))
    first = (image * height + rows.clip(0, height - 1)) * width
    return {
        f"cells_{level.stride}": np.ascontiguousarray(
            first[:, :, None] + columns.clip(0, width - 1)[:, None, :], np.int64
        ),
        f"inside_{level.stride}": (inside_rows[:, :, None] & inside_columns[:, None, :]).astype(np.float32),
        f"picks_{level.stride}": picks.astype(np.int64),
    }
