"""Regions: the parts of a feature map that the masks of some segments depend on, as few and small as possible."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SIDES = (8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 72, 80, 96, 112, 128)
"""Sides of regions, cells: few, because a backend prepares each size when it comes for the first time."""
_MOST_WINDOWS = 32  # more are covered by one region


class Region(NamedTuple):
    """A part of a feature map, whole cells, `bottom` and `right` exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def cells(self) -> int:
        """Number of cells."""
        return (self.bottom - self.top) * (self.right - self.left)

    def with_other(self, other: Region) -> Region:
        """The smallest region that contains this one and another."""
        return Region(
            min(self.top, other.top), min(self.left, other.left),
            max(self.bottom, other.bottom), max(self.right, other.right),
        )  # fmt: skip


def regions_around(
    windows: NDArray[np.intp], height: int, width: int, per_run: int
) -> list[tuple[Region, NDArray[np.intp]]]:
    """Cover windows of a feature map by regions.

    Args:
        windows: (n, 4) top, left, bottom, right of each window, whole cells, not empty, bottom and right exclusive.
        height, width: Size of the map, cells.
        per_run: Cells that take as long as the constant part of a run, of which every region needs one.

    Returns:
        Regions, and the indices of the windows that each covers. A single region that is the whole map, if that costs
        no more.
    """
    whole = Region(0, 0, height, width)
    fitted = [_fitted(Region(*window), height, width) for window in windows.tolist()]
    groups: list[tuple[Region, list[int]]] = []
    if len(fitted) > _MOST_WINDOWS:
        low, high = windows[:, :2].min(axis=0).tolist(), windows[:, 2:].max(axis=0).tolist()
        groups = [(_fitted(Region(*low, *high), height, width), list(range(len(fitted))))]
    else:
        for index, window in enumerate(fitted):
            groups = _added(groups, window, [index], (height, width), per_run)
    if sum(region.cells + per_run for region, _ in groups) >= whole.cells + per_run:
        return [(whole, np.arange(len(windows)))]
    return [(region, np.array(indices, np.intp)) for region, indices in groups]


def _added(
    groups: list[tuple[Region, list[int]]], window: Region, indices: list[int], size: tuple[int, int], per_run: int
) -> list[tuple[Region, list[int]]]:
    """Add a window to the group that then costs least more, or as a new group."""
    best, saved = -1, 0
    for place, (region, _) in enumerate(groups):
        together = _fitted(region.with_other(window), *size)
        saving = region.cells + window.cells + per_run - together.cells
        if saving > saved:
            best, saved = place, saving
    if best < 0:
        return [*groups, (window, indices)]
    region, others = groups[best]
    rest = [*groups[:best], *groups[best + 1 :]]  # the grown region may now reach others
    return _added(rest, _fitted(region.with_other(window), *size), [*others, *indices], size, per_run)


def _fitted(region: Region, height: int, width: int) -> Region:
    """A region with sides of the ladder, moved and cut to lie in the map."""
    top, bottom = _axis(region.top, region.bottom, height)
    left, right = _axis(region.left, region.right, width)
    return Region(top, left, bottom, right)


def _axis(first: int, stop: int, length: int) -> tuple[int, int]:
    first, stop = max(first, 0), min(stop, length)
    side = min(next((side for side in _SIDES if side >= stop - first), length), length)
    first = max(min(first, length - side), 0)
    return first, first + side
