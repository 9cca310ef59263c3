"""Resize frames and their masks, to draw them at another size than the frame's."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskCrop


def resize_image(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize (H, W, 3) uint8 to (height, width), px: by averaging to shrink, bicubic to enlarge."""
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size[::-1], interpolation=interpolation), np.uint8)


def resize_mask_crops(crops: Sequence[MaskCrop], frame: tuple[int, int], size: tuple[int, int]) -> list[MaskCrop]:
    """Resize masks with their frame.

    Args:
        crops: n masks inside their boxes, px of the frame.
        frame: Height and width of the frame, px.
        size: New height and width, px.

    Returns:
        n masks inside their boxes, px of the new size. A mask thinner than a pixel becomes empty.
    """
    scaled = []
    for left, top, pixels in crops:
        edges = np.array([top, left, top + pixels.shape[0], left + pixels.shape[1]])
        y0, x0, y1, x1 = np.rint(edges * np.tile(np.divide(size, frame), 2)).astype(int).tolist()
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        if mask.size:
            shades = pixels.astype(np.uint8) * 255
            smaller = mask.size < pixels.size
            interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            mask = np.asarray(cv2.resize(shades, (x1 - x0, y1 - y0), interpolation=interpolation), np.uint8)
        scaled.append(MaskCrop(x0, y0, mask >= 128))
    return scaled
