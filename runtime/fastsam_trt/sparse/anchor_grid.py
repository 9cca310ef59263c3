"""The anchors of a YOLO model for one input size: one per cell of every level, levels by rising stride, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Level:
    """A level of the feature pyramid.

    Attributes:
        stride: Input px per cell.
        height, width: Size, cells.
        first: Index of its first anchor among those of all levels.
    """

    stride: int
    height: int
    width: int
    first: int

    @property
    def cells(self) -> int:
        """Number of cells, one anchor each."""
        return self.height * self.width


class AnchorGrid:
    """The anchors of all levels.

    Attributes:
        levels: By rising stride.
    """

    def __init__(self, sizes: Mapping[int, tuple[int, int]]) -> None:
        """Lay out the anchors.

        Args:
            sizes: Stride to (height, width) of its level, cells.
        """
        levels, first = [], 0
        for stride, (height, width) in sorted(sizes.items()):
            levels.append(Level(stride, height, width, first))
            first += height * width
        self.levels = tuple(levels)
        self._edges = np.array([level.first for level in levels[1:]], np.intp)

    def by_level(self, anchors: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """For each level, the positions of its anchors in (n,) anchors, in their order."""
        level_of = np.searchsorted(self._edges, anchors, side="right")
        return [np.flatnonzero(level_of == index) for index in range(len(self.levels))]

    def centres(self, anchors: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The centres of (n,) anchors in cells of their levels, (n, 2) float32 xy, and (n,) strides, px."""
        level_of = np.searchsorted(self._edges, anchors, side="right")
        first, width, stride = np.array([(each.first, each.width, each.stride) for each in self.levels], np.intp).T
        y, x = np.divmod(anchors - first[level_of], width[level_of])
        return np.stack([x, y], axis=1).astype(np.float32) + np.float32(0.5), stride[level_of].astype(np.float32)
