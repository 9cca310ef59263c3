"""Prototypes of one frame: over the model's input or a part of it, whole or in tiles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class _Piece(NamedTuple):
    """The rows or columns of a window that lie in one tile: its row or column among the tiles, and the range in it."""

    tile: int
    inside: slice


class Prototypes:
    """Prototype maps in tiles of one size, which lie side by side."""

    def __init__(
        self, tiles: NDArray[np.float32], tops: NDArray[np.intp] | None = None, lefts: NDArray[np.intp] | None = None
    ) -> None:
        """Hold the tiles.

        Args:
            tiles: (n, c, h, w) float32, in any memory order; not copied. Those from k on are ignored.
            tops, lefts: (k,) first row and first column of each tile in the prototypes over the model's whole input.
                They may be negative, and differ by multiples of h and w. None: one tile at 0, 0.
        """
        self._tiles = tiles
        self._top, self._left = 0, 0
        self._index = {(0, 0): 0}
        if tops is not None and lefts is not None:
            self._top, self._left = int(tops.min()), int(lefts.min())
            rows, columns = (tops - self._top) // tiles.shape[2], (lefts - self._left) // tiles.shape[3]
            self._index = {at: index for index, at in enumerate(zip(rows.tolist(), columns.tolist(), strict=True))}

    def logits(
        self, coefficients: NDArray[np.float32], top: int, bottom: int, left: int, right: int
    ) -> NDArray[np.float32]:
        """The coefficients times the prototypes in a window that the tiles cover.

        Args:
            coefficients: (c,) float32.
            top, bottom, left, right: The window, rows and columns of the prototypes over the model's whole input.

        Returns:
            (right - left, bottom - top) float32, by column.
        """
        top, bottom, left, right = top - self._top, bottom - self._top, left - self._left, right - self._left
        if len(self._index) == 1:
            return _product(coefficients, self._tiles[0, :, top:bottom, left:right])
        rows, columns = (_pieces(top, bottom, self._tiles.shape[2]), _pieces(left, right, self._tiles.shape[3]))
        logits = np.empty((right - left, bottom - top), np.float32)
        x = 0
        for column in columns:
            end, y = x + column.inside.stop - column.inside.start, 0
            for row in rows:
                stop = y + row.inside.stop - row.inside.start
                tile = self._tiles[self._index[row.tile, column.tile]]
                logits[x:end, y:stop] = _product(coefficients, tile[:, row.inside, column.inside])
                y = stop
            x = end
        return logits

    @property
    def map(self) -> NDArray[np.float32]:
        """All tiles together: (c, h, w) float32. A copy, unless there is one tile only."""
        one = self if len(self._index) == 1 else self.gathered()
        return np.asarray(one._tiles[0])  # noqa: SLF001 - of this class

    def gathered(self) -> Prototypes:
        """The same prototypes in one tile with the channels last: a copy, from which a product is quicker."""
        if len(self._index) == 1 and self._tiles.strides[1] == self._tiles.itemsize:
            return self
        _, channels, height, width = self._tiles.shape
        low, high = np.min(list(self._index), axis=0), np.max(list(self._index), axis=0) + 1
        rows, columns = (high - low).tolist()
        whole = np.empty((rows, height, columns, width, channels), np.float32)
        for (row, column), index in self._index.items():
            whole[row - low[0], :, column - low[1]] = self._tiles[index].transpose(1, 2, 0)
        tile = whole.reshape(1, rows * height, columns * width, channels).transpose(0, 3, 1, 2)
        return Prototypes(tile, np.array([self._top]), np.array([self._left]))


def _product(coefficients: NDArray[np.float32], part: NDArray[np.float32]) -> NDArray[np.float32]:
    """The logits (x, y) of prototypes (c, y, x), by products that BLAS does without a copy."""
    if part.strides[2] == part.itemsize:
        return np.asarray((coefficients @ part.transpose(1, 0, 2)).T)
    return np.asarray(part.transpose(2, 1, 0) @ coefficients)


def _pieces(first: int, stop: int, side: int) -> list[_Piece]:
    """The parts of a range in tiles of so many rows or columns."""
    return [
        _Piece(tile, slice(max(first - tile * side, 0), min(stop - tile * side, side)))
        for tile in range(first // side, -(-stop // side))
    ]
