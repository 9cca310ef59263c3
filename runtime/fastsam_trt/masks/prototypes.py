"""Prototypes of one frame: over the model's input or a part of it, whole or in tiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
            (bottom - top, right - left) float32.
        """
        rows, columns = (
            _pieces(top - self._top, bottom - self._top, self._tiles.shape[2]),
            _pieces(left - self._left, right - self._left, self._tiles.shape[3]),
        )
        if len(rows) == len(columns) == 1:
            return self._product(coefficients, rows[0], columns[0])
        logits = np.empty((bottom - top, right - left), np.float32)
        first = 0
        for row in rows:
            end, start = first + row[1].stop - row[1].start, 0
            for column in columns:
                stop = start + column[1].stop - column[1].start
                logits[first:end, start:stop] = self._product(coefficients, row, column)
                start = stop
            first = end
        return logits

    def _product(
        self, coefficients: NDArray[np.float32], row: tuple[int, slice], column: tuple[int, slice]
    ) -> NDArray[np.float32]:
        """The logits of a part of a tile, by a product that BLAS does without a copy."""
        part = self._tiles[self._index[row[0], column[0]], :, row[1], column[1]]
        if part.strides[2] == part.itemsize:
            return np.asarray(coefficients @ part.transpose(1, 0, 2))
        return np.asarray(part.transpose(1, 2, 0) @ coefficients)


def _pieces(first: int, stop: int, side: int) -> list[tuple[int, slice]]:
    """The parts of a range in tiles of so many rows or columns: number of the tile, and the range inside it."""
    return [
        (index, slice(max(first - index * side, 0), min(stop - index * side, side)))
        for index in range(first // side, -(-stop // side))
    ]
