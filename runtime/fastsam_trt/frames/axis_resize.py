"""Resizing along one axis by a banded matrix: exact, at any subpixel offset, for any kernel.

A kernel reaches only a few pixels, so a block of output rows needs only a band of input rows. The matrix products are
kept small on purpose: above about 2^18 multiplications, BLAS libraries start threads, which then spin for milliseconds
and slow down the network that runs next on the same cores (measured: 17 ms became 26 ms).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import Interpolation
from fastsam_trt.frames.map_axis import MapAxis

_ONE_THREAD = 1 << 18  # multiplications per product


class AxisResize:
    """A resize of one axis."""

    def __init__(self, taps: NDArray[np.intp], weights: NDArray[np.float64], length: int) -> None:
        """Build the matrix.

        Args:
            taps: (out, k): indices of the input pixels of each output pixel; the first and the last are the outermost.
            weights: (out, k): weight of each tap; rows sum to one.
            length: Pixels of the input axis. Taps beyond its ends are clamped to the edge pixels.
        """
        taps = taps.clip(0, length - 1)
        self._matrix = np.zeros((len(taps), length), np.float32)
        np.add.at(self._matrix, (np.arange(len(taps))[:, None], taps), weights.astype(np.float32))
        self._first: list[int] = taps[:, 0].tolist()  # lists, because reading single elements of arrays is slow
        self._stop: list[int] = (taps[:, -1] + 1).tolist()
        self._block = int(np.clip(16 * len(taps) / length, 8, 64))

    def reach(self, start: int, stop: int) -> tuple[int, int]:
        """The range of input pixels that output pixels from start to stop (exclusive) depend on."""
        return self._first[start], self._stop[stop - 1]

    def apply(self, rows: NDArray[np.float32], start: int, stop: int, origin: int = 0) -> NDArray[np.float32]:
        """Resize the first axis.

        Args:
            rows: (k, n) float32: input pixels from `origin` on; they cover `reach(start, stop)`.
            start, stop: Range of output pixels to compute.
            origin: Index of the input pixel in the first row.

        Returns:
            (stop - start, n) float32.
        """
        columns = rows.shape[1]
        out = np.empty((stop - start, columns), np.float32)
        for row in range(start, stop, self._block):
            end = min(row + self._block, stop)
            low, high = self._first[row], self._stop[end - 1]
            band = self._matrix[row:end, low:high]
            part = rows[low - origin : high - origin]
            if band.size * columns <= _ONE_THREAD:
                np.matmul(band, part, out=out[row - start : end - start])
                continue
            width = max(_ONE_THREAD // band.size, 1)
            for column in range(0, columns, width):
                stripe = slice(column, column + width)
                np.matmul(band, part[:, stripe], out=out[row - start : end - start, stripe])
        return out

    def apply_last(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resize the whole last axis: (n, length) float32 to (n, out) float32."""
        count, length = len(rows), len(self._first)
        out = np.empty((count, length), np.float32)
        for column in range(0, length, self._block):
            end = min(column + self._block, length)
            low, high = self.reach(column, end)
            band = self._matrix[column:end, low:high].T
            height = max(_ONE_THREAD // band.size, 1)
            for row in range(0, count, height):
                stripe = slice(row, row + height)
                np.matmul(rows[stripe, low:high], band, out=out[stripe, column:end])
        return out


def bilinear(axis: MapAxis) -> AxisResize:
    """Bilinear resizing from the cells of maps to the pixels of a frame; see `MapAxis`."""
    cells, pixels = axis.fine_cells(), axis.pixels()
    fine, whole = _neighbours(pixels), not (cells % 1).any()
    taps, weights = [], []
    for near, share in fine:
        at = cells[near.clip(0, len(cells) - 1)]
        if whole:
            taps.append(at.astype(np.intp))
            weights.append(share)
            continue
        for tap, weight in _neighbours(at):
            taps.append(tap)
            weights.append(share * weight)
    return AxisResize(np.stack(taps, axis=1), np.stack(weights, axis=1), axis.cells)


def _neighbours(positions: NDArray[np.float64]) -> tuple[tuple[NDArray[np.intp], NDArray[np.float64]], ...]:
    """The indices below and above each position, and their weights in linear interpolation."""
    low = positions.astype(np.intp)
    fraction = positions - low
    return (low, 1 - fraction), (low + 1, fraction)


def antialiased(interpolation: Interpolation, length: int, resized: int, first: int, count: int) -> AxisResize:
    """Pillow's resizing (Resample.c): the kernel widens when shrinking.

    Args:
        interpolation: `bilinear` (a triangle) or `bicubic` (Keys 1981 with a = -0.5).
        length: Pixels of the axis before resizing.
        resized: Pixels after resizing.
        first, count: The range of resized pixels to compute.
    """
    kernel, support = (_triangle, 1) if interpolation == "bilinear" else (_keys, 2)
    scale = length / resized
    widen = max(scale, 1.0)
    centres = (np.arange(first, first + count) + 0.5) * scale
    starts = np.floor(centres - support * widen + 0.5).astype(np.intp)
    taps = starts[:, None] + np.arange(math.ceil(support * widen) * 2 + 1)
    weights = kernel((taps + 0.5 - centres[:, None]) / widen)
    weights[(taps < 0) | (taps >= length)] = 0
    return AxisResize(taps, weights / weights.sum(axis=1, keepdims=True), length)


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.maximum(1 - np.abs(x), 0))


def _keys(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
