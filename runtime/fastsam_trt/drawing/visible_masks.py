"""VisibleMasks: what can be seen of overlapping masks, on a coarse grid, and how deep points lie inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskCrop

_MAP_PX = 384  # most cells of the grid on the longer side of the frame
_LEAST_COLUMNS = 4  # of a mask whose columns are thinned out


class Depth(NamedTuple):
    """How deep the points of a grid lie inside a visible mask.

    Attributes:
        values: (r, c) float32, rows of the grid to the nearest edge, 0 outside. Columns count less than rows by the
            aspect of the text, so that the deepest point is the best one for a text of that aspect.
        x: (c,) float64, px of the frame.
        y: (r,) float64, px of the frame.
    """

    values: NDArray[np.float32]
    x: NDArray[np.float64]
    y: NDArray[np.float64]


class VisibleMasks:
    """The masks of a frame. Of each it knows the part that no mask in front of it covers."""

    def __init__(self, height: int, width: int, crops: Sequence[MaskCrop], order: Sequence[int]) -> None:
        """Paint which mask is in front.

        Args:
            height, width: Of the frame, px.
            crops: n masks inside their boxes.
            order: Their indices from back to front.
        """
        self._step = step = -(-max(height, width) // _MAP_PX)
        self._crops = crops
        self._owner = np.full((-(-height // step), -(-width // step)), -1, np.int32)
        self._windows: list[tuple[slice, slice]] = [(slice(0), slice(0))] * len(crops)
        self._known = dict[int, NDArray[np.bool_]]()
        for index in order:
            left, top, pixels = crops[index]
            (first_row, row), (first_column, column) = self._first(top), self._first(left)
            cells = pixels[first_row::step, first_column::step]
            rows, columns = slice(row, row + cells.shape[0]), slice(column, column + cells.shape[1])
            self._windows[index] = rows, columns
            np.copyto(self._owner[rows, columns], index, where=cells)

    def area_px(self, index: int) -> int:
        """Area of the visible part of a mask, px, to the accuracy of the grid."""
        return int(np.count_nonzero(self._cells(index))) * self._step**2

    def depth(self, index: int, aspect: float = 1.0) -> Depth:
        """How deep points lie inside the visible part of a mask.

        Args:
            index: Of the mask.
            aspect: Width over height of what shall fit into it.
        """
        cells, (rows, columns) = self._cells(index), self._windows[index]
        squeeze = max(min(round(aspect), cells.shape[1] // _LEAST_COLUMNS), 1)
        cells = np.ascontiguousarray(cells[:, squeeze // 2 :: squeeze])
        x = np.arange(columns.start, columns.stop)[squeeze // 2 :: squeeze]
        values = np.zeros(cells.shape, np.float32)
        if cells.size:
            padded = cv2.copyMakeBorder(cells.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
            values = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1], np.float32)
        return Depth(values, self._px(x), self._px(np.arange(rows.start, rows.stop)))

    def centroid(self, index: int) -> tuple[float, float] | None:
        """Centre of mass of the visible part, x and y px, which may lie outside it; None if nothing is visible."""
        sums = cv2.moments(self._cells(index).view(np.uint8), binaryImage=True)
        if not sums["m00"]:
            return None
        rows, columns = self._windows[index]
        x, y = self._px(np.array([columns.start + sums["m10"] / sums["m00"], rows.start + sums["m01"] / sums["m00"]]))
        return float(x), float(y)

    def middle(self, index: int) -> tuple[float, float] | None:
        """The deepest point of the visible part, x and y px; a point of the mask if the grid misses it; else None."""
        values, x, y = self.depth(index)
        if values.size and values.any():
            row, column = np.unravel_index(int(values.argmax()), values.shape)
            return float(x[column]), float(y[row])
        left, top, pixels = self._crops[index]
        inside = np.argwhere(pixels)
        if not len(inside):
            return None
        row, column = inside[len(inside) // 2].tolist()
        return left + column + 0.5, top + row + 0.5

    def _cells(self, index: int) -> NDArray[np.bool_]:
        if index not in self._known:
            self._known[index] = self._owner[self._windows[index]] == index
        return self._known[index]

    def _first(self, edge: int) -> tuple[int, int]:
        """The first pixel of a crop on the grid, counted from its edge, and its row or column in the grid."""
        cell = -(-(edge - self._step // 2) // self._step)
        return cell * self._step + self._step // 2 - edge, cell

    def _px(self, cells: NDArray[np.integer | np.floating]) -> NDArray[np.float64]:
        return np.asarray(cells, np.float64) * self._step + self._step // 2 + 0.5
