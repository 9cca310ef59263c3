"""Resizing of pictures as Pillow and torchvision do it: antialiased, across first, whole levels after each axis."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import Interpolation
from fastsam_trt.frames.axis_resize import antialiased


class AntialiasedResize:
    """A resize from one size to another; what it is made of is kept."""

    def __init__(
        self,
        interpolation: Interpolation,
        size: tuple[int, int],
        resized: tuple[int, int],
        cut: tuple[int, int] | None = None,
    ) -> None:
        """Lay out both axes.

        Args:
            interpolation: Kernel.
            size: (height, width) of the pictures, px.
            resized: (height, width) that they are scaled to.
            cut: (height, width) of the middle, which alone is made; None: all.
        """
        self.size, self._made = size, cut or resized
        self._down, self._across = (
            antialiased(interpolation, before, after, (after - made) // 2, made)
            for before, after, made in zip(size, resized, self._made, strict=True)
        )

    def resize(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Resize an image.

        Args:
            image: (h, w, c) uint8, of the size laid out for.

        Returns:
            (c, height, width) float32, whole numbers from 0 to 255, channels in the order of the image.
        """
        (height, width), (rows, columns), channels = self.size, self._made, image.shape[2]
        planes = np.empty((channels, height, width), np.float32)
        for plane, channel in zip(planes, cv2.split(image), strict=True):
            plane[:] = channel
        narrow = _whole_levels(self._across.apply_last(planes.reshape(-1, width))).reshape(channels, height, columns)
        small = np.empty((channels, rows, columns), np.float32)
        for plane, tall in zip(small, narrow, strict=True):
            plane[:] = self._down.apply(tall, 0, rows)
        return _whole_levels(small)


def _whole_levels(values: NDArray[np.float32]) -> NDArray[np.float32]:
    np.rint(values, out=values)
    return np.clip(values, 0, 255, out=values)
