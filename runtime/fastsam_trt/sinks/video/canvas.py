"""Canvas: fit every image to the frame size of a recording."""

from __future__ import annotations

import logging

import cv2
import numpy as np
from numpy.typing import NDArray

_logger = logging.getLogger(__name__)

_WIDEST_PIXEL = 8.0  # a larger aspect ratio is an error in the file's header


class Canvas:
    """The frame size of a recording: the size of the first image, in square pixels.

    Images of another size are scaled to fit, with black bars; their aspect ratio is kept. Images with non-square pixels
    are enlarged along the shorter side of a pixel, since players treat pixel aspect ratios differently. If the encoder
    needs a multiple of some pixels, the last column and row are repeated at the right and bottom.
    """

    def __init__(self, align_px: int) -> None:
        """Set the alignment.

        Args:
            align_px: Width and height are padded to multiples of this.
        """
        self._align_px = align_px
        self._size: tuple[int, int] | None = None
        self._warned = False

    def fit(self, image: NDArray[np.uint8], pixel_aspect: float = 1.0) -> NDArray[np.uint8]:
        """Fit an image to the recording.

        Args:
            image: (H, W, 3) uint8.
            pixel_aspect: Pixel aspect ratio, width over height.

        Returns:
            (H', W', 3) uint8, contiguous, of the same size for all images.
        """
        width, height = _square_size(image.shape[1], image.shape[0], pixel_aspect)
        if self._size is None:
            self._size = (width, height)
        if (width, height) == self._size:
            if (image.shape[1], image.shape[0]) != self._size:
                image = _resize(image, self._size)
        else:
            if not self._warned:
                self._warned = True
                _logger.warning(
                    "frames of %d x %d px are scaled to the recording's %d x %d px", width, height, *self._size
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
