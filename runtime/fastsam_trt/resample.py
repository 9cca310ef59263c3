"""Antialiased resizing with cut to the middle, as CLIP's image processor does it, straight into planes.

The kernel is Pillow's (Resample.c, after Keys 1981 with a = -0.5 for bicubic): when shrinking it widens by the
scale, which OpenCV's bicubic does not do. Resizing along one axis is a banded matrix, so a crop is two matrix products,
and only the pixels that survive the cut are computed.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

_REDUCE_ABOVE = 6.0  # a box filter brings larger shrinks down to half of this first; the kernel does the rest


def resize_shortest_edge(picture: NDArray[np.uint8], size_px: int) -> NDArray[np.float32]:
    """Scale a picture's shorter side to a size and cut the middle out, bicubic with antialiasing.

    Args:
        picture: (h, w, c) uint8.
        size_px: Side of the square to make.

    Returns:
        (c, size_px, size_px) float32, whole numbers from 0 to 255, channels in the picture's order.
    """
    picture = _reduce(picture, size_px)
    height, width = picture.shape[:2]
    rows, columns = height, width
    if height <= width:
        rows, columns = size_px, int(size_px * width / height)
    else:
        rows, columns = int(size_px * height / width), size_px
    down = bicubic_matrix(height, rows, (rows - size_px) // 2, size_px)
    across = bicubic_matrix(width, columns, (columns - size_px) // 2, size_px)
    planes = np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32)
    resized: NDArray[np.float32] = np.matmul(np.matmul(down, planes), across.T)
    np.rint(resized, out=resized)
    return np.clip(resized, 0, 255, out=resized)


def bicubic_matrix(length: int, resized: int, first: int, count: int) -> NDArray[np.float32]:
    """The matrix that resizes one axis, antialiased bicubic.

    Args:
        length: Pixels of the axis before.
        resized: Pixels after.
        first, count: The range of resized pixels that is wanted.

    Returns:
        (count, length) float32; each row sums to one.
    """
    scale = length / resized
    widen = max(scale, 1.0)
    support = 2.0 * widen
    centres = (np.arange(first, first + count) + 0.5) * scale
    starts = np.floor(centres - support + 0.5).astype(np.intp)
    taps = starts[:, None] + np.arange(math.ceil(support) * 2 + 1)
    weights = _keys((taps + 0.5 - centres[:, None]) / widen)
    weights[(taps < 0) | (taps >= length)] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((count, length), np.float32)
    np.put_along_axis(matrix, taps.clip(0, length - 1), 0, axis=1)
    np.add.at(matrix, (np.arange(count)[:, None], taps.clip(0, length - 1)), weights.astype(np.float32))
    return matrix


def _keys(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _reduce(picture: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Shrink a very large picture by averaging, leaving a shrink of half `_REDUCE_ABOVE` to the kernel."""
    height, width = picture.shape[:2]
    scale = min(height, width) / size_px
    if scale <= _REDUCE_ABOVE:
        return picture
    factor = scale / (_REDUCE_ABOVE / 2)
    smaller = (round(width / factor), round(height / factor))
    return np.asarray(cv2.resize(picture, smaller, interpolation=cv2.INTER_AREA), np.uint8)
