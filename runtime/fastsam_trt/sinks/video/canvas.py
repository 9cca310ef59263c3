"""Canvas: the one size of a recording, into which every image is fitted."""

from __future__ import annotations

import logging

import cv2
import numpy as np
from numpy.typing import NDArray

_logger = logging.getLogger(__name__)

_WIDEST_PIXEL = 8.0  # beyond, a header lies


class Canvas:
    """Has the size of the first image, in square pixels. Images of another size are scaled into it, with bars.

    An image keeps its shape always. Pixels that are not square are made square by enlarging the shorter side, since
    players differ in what they make of others. Sizes that the encoder does not take are filled up at the right and at
    the bottom with the last column and row.
    """

    def __init__(self, align_px: int) -> None:
        """Prepare.

        Args:
            align_px: What width and height must be multiples of.
        """
        self._align_px = align_px
        self._size: tuple[int, int] | None = None
        self._told = False

    def fit(self, image: NDArray[np.uint8], pixel_aspect: float = 1.0) -> NDArray[np.uint8]:
        """The image as it is recorded.

        Args:
            image: (H, W, 3) uint8.
            pixel_aspect: Width over height of a pixel.

        Returns:
            (H', W', 3) uint8, contiguous, the same size for every image.
        """
        width, height = _square_size(image.shape[1], image.shape[0], pixel_aspect)
        if self._size is None:
            self._size = (width, height)
        if (width, height) == self._size:
            if (image.shape[1], image.shape[0]) != self._size:
                image = _resize(image, self._size)
        else:
            if not self._told:
                self._told = True
                _logger.warning(
                    "frames of %d x %d px are scaled into the recording's %d x %d", width, height, *self._size
                )
            image = _letterbox(image, (width, height), self._size)
        right, below = (-self._size[0] % self._align_px, -self._size[1] % self._align_px)
        if right or below:
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
        return np.ascontiguousarray(image)


def _square_size(width: int, height: int, pixel_aspect: float) -> tuple[int, int]:
    if not 1 / _WIDEST_PIXEL <= pixel_aspect <= _WIDEST_PIXEL:
        return width, height
    if pixel_aspect >= 1:
        return round(width * pixel_aspect), height
    return width, round(height / pixel_aspect)


def _letterbox(image: NDArray[np.uint8], shape: tuple[int, int], canvas: tuple[int, int]) -> NDArray[np.uint8]:
    scale = min(canvas[0] / shape[0], canvas[1] / shape[1])
    width, height = (max(round(side * scale), 1) for side in shape)
    left, top = (canvas[0] - width) // 2, (canvas[1] - height) // 2
    whole = np.zeros((canvas[1], canvas[0], 3), np.uint8)
    whole[top : top + height, left : left + width] = _resize(image, (width, height))
    return whole


def _resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    shrinks = size[0] < image.shape[1] or size[1] < image.shape[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=interpolation).astype(np.uint8, copy=False)
