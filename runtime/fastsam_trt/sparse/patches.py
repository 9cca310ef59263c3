"""Patches: the cells of a level's features that the outputs at chosen anchors depend on.

A head of convolutions sees `reach` cells on each side of an anchor. So its output at the anchor needs a patch of
2 * reach + 1 cells a side. Outside the map there are no cells: there the graph multiplies by 0 what it computes, which
is the zero padding of the convolutions over the whole map. A whole level is one large patch with a ring of such cells.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastsam_engine.device_array import Array

LADDER = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Numbers of patches per run: few, because a backend prepares each number when it comes for the first time."""


class Patches(NamedTuple):
    """The inputs of one level of a head.

    Attributes:
        cells: (k, y, x) int64: indices of the patches' cells among those of all images, row by row.
        inside: (k, y, x) float32: 1 inside the map, 0 outside it.
        picks: (m,) int64: indices of the wanted anchors among the (k, y - 2 * reach, x - 2 * reach) that the patches
            have; those beyond the wanted ones are padding.
    """

    cells: Array
    inside: Array
    picks: Array


def rung(count: int) -> int:
    """The smallest number of the ladder that is at least `count`; 0 for 0."""
    if count > LADDER[-1]:
        return -(-count // LADDER[-1]) * LADDER[-1]
    return next(step for step in (0, *LADDER) if step >= count)


def patches_around(
    anchors: NDArray[np.intp],
    height: int,
    width: int,
    reach: int,
    images: NDArray[np.intp] | None = None,
    fewest: int = 0,
) -> Patches:
    """One patch per anchor.

    Args:
        anchors: (n,) indices of cells of a level, row by row.
        height, width: Size of the level, cells.
        reach: Cells that the head sees on each side of an anchor.
        images: (n,) indices of the anchors' images in the batch; None: all of the first image.
        fewest: Fewest patches, for graphs that do not take empty arrays.
    """
    found = len(anchors)
    if not found:
        return _no_patches(rung(fewest), 2 * reach + 1)
    count = rung(max(found, fewest))
    y, x = np.divmod(anchors, width)
    windows = _windows(height, width, reach)
    side = 2 * reach + 1
    cells, inside = np.zeros((count, side, side), np.int64), np.zeros((count, side, side), np.float32)
    cells[:found], inside[:found] = windows[0][y, x], windows[1][y, x]
    if images is not None:
        cells[:found] += (images * (height * width))[:, None, None]
    return Patches(cells, inside, np.arange(count))


@lru_cache(maxsize=64)
def whole_level(height: int, width: int, reach: int, batch: int = 1) -> tuple[Array, Array]:
    """The `cells` and `inside` of a whole level: a patch per image, (batch, height + 2 * reach, width + 2 * reach)."""
    rows, columns = np.arange(-reach, height + reach), np.arange(-reach, width + reach)
    cells, inside = cells_at(rows[None], columns[None], height, width)
    per_image = np.arange(batch)[:, None, None] * (height * width)
    return _constant(cells + per_image), _constant(np.concatenate([inside] * batch))


def cells_at(rows: NDArray[np.intp], columns: NDArray[np.intp], height: int, width: int) -> tuple[Array, Array]:
    """The `cells` and `inside` of patches of the first image.

    Args:
        rows: (k, y) of each patch; those outside the level are replaced by the nearest inside it.
        columns: (k, x), in the same way.
        height, width: Size of the level, cells.
    """
    cells = rows.clip(0, height - 1)[:, :, None] * width + columns.clip(0, width - 1)[:, None]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    return cells.astype(np.int64), inside.astype(np.float32)


def picked(anchors: NDArray[np.intp], count: int) -> Array:
    """The `picks` of (n,) anchors from a whole level, padded to `count`."""
    picks = np.zeros(count, np.int64)
    picks[: len(anchors)] = anchors
    return picks


@lru_cache(maxsize=64)
def _windows(height: int, width: int, reach: int) -> tuple[Array, Array]:
    """The patches of all anchors of a level, as views: `cells` and `inside`, (height, width, side, side) each."""
    cells, inside = (
        sliding_window_view(each[0], (2 * reach + 1, 2 * reach + 1)) for each in whole_level(height, width, reach)
    )
    return cells, inside


@lru_cache(maxsize=8)
def _no_patches(count: int, side: int) -> Patches:
    """Patches whose outputs nobody wants."""
    cells, inside = np.zeros((count, side, side), np.int64), np.zeros((count, side, side), np.float32)
    return Patches(_constant(cells), _constant(inside), _constant(np.arange(count)))


def _constant(array: Array) -> Array:
    array.setflags(write=False)
    return array
