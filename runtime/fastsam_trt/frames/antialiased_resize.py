"""Antialiased resizing as in Pillow and torchvision: first width, then height, rounded after each."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import Interpolation
from fastsam_trt.frames.axis_resize import antialiased


class AntialiasedResize:
    """A resize from one size to another, whose weights are computed once."""

    def __init__(
        self,
        interpolation: Interpolation,
        size: tuple[int, int],
        resized: tuple[int, int],
        crop: tuple[int, int] | None = None,
    ) -> None:
        """Compute the weights of both axes.

        Args:
            interpolation: The kernel.
            size: (height, width) of the images, px.
            resized: (height, width) after scaling, px.
            crop: (height, width) of the centre crop to compute, px; None: everything.
        """
        self.size, self._output = size, crop or resized
        self._rows, self._columns = (
            antialiased(interpolation, before, after, (after - length) // 2, length)
            for before, after, length in zip(size, resized, self._output, strict=True)
        )

    def resize(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Resize an image.

        Args:
            image: (h, w, c) uint8, of the size given above.

        Returns:
            (c, height, width) float32, whole numbers from 0 to 255, channels in the order of the image.
        """
        (height, width), (rows, columns), channels = self.size, self._output, image.shape[2]
        planes = np.empty((channels, height, width), np.float32)
        for plane, channel in zip(planes, cv2.split(image), strict=True):
            plane[:] = channel
        narrow = _whole_levels(self._columns.apply_last(planes.reshape(-1, width))).reshape(channels, height, columns)
        small = np.empty((channels, rows, columns), np.float32)
        for plane, source in zip(small, narrow, strict=True):
            plane[:] = self._rows.apply(source, 0, rows)
        return _whole_levels(small)


def _whole_levels(values: NDArray[np.float32]) -> NDArray[np.float32]:
    np.rint(values, out=values)
    return np.clip(values, 0, 255, out=values)
