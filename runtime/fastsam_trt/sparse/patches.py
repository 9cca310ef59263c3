"""Patches: the cells of a level's features that the outputs at chosen anchors depend on.

A head of convolutions sees `reach` cells on each side of an anchor. So its output at the anchor needs a patch of
2 * reach + 1 cells a side. Outside the map there are no cells: there the graph multiplies by 0 what it computes, which
is the zero padding of the convolutions over the whole map. A whole level is one large patch with a ring of such cells.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
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
    count = rung(max(len(anchors), fewest))
    y, x = np.divmod(anchors, width)
    offsets = np.arange(-reach, reach + 1)
    rows, columns = y[:, None] + offsets, x[:, None] + offsets
    base = 0 if images is None else (images * (height * width))[:, None, None]
    side = len(offsets)
    cells = np.zeros((count, side, side), np.int64)
    inside = np.zeros((count, side, side), np.float32)
    cells[: len(anchors)] = rows.clip(0, height - 1)[:, :, None] * width + columns.clip(0, width - 1)[:, None, :] + base
    inside[: len(anchors)] = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    return Patches(cells, inside, np.arange(count))


@lru_cache(maxsize=64)
def whole_level(height: int, width: int, reach: int, batch: int = 1) -> tuple[Array, Array]:
    """The `cells` and `inside` of a whole level: a patch per image, (batch, height + 2 * reach, width + 2 * reach)."""
    rows, columns = np.arange(-reach, height + reach), np.arange(-reach, width + reach)
    cells = rows.clip(0, height - 1)[:, None] * width + columns.clip(0, width - 1)
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    per_image = np.arange(batch)[:, None, None] * (height * width)
    both = (cells + per_image).astype(np.int64), np.broadcast_to(inside, (batch, *inside.shape)).astype(np.float32)
    for array in both:
        array.setflags(write=False)
    return both


def picked(anchors: NDArray[np.intp], count: int) -> Array:
    """The `picks` of (n,) anchors from a whole level, padded to `count`."""
    return np.pad(anchors, (0, count - len(anchors))).astype(np.int64)
