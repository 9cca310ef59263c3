"""Preprocessing of whole frames: BGR uint8 in, the model's input out, through buffers that are kept."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt.frames.antialiased_resize import AntialiasedResize
from fastsam_trt.frames.letterbox import Letterbox, fit
from fastsam_trt.frames.rectangles import Rectangle

_INTERPOLATION = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


class FramePreprocessor:
    """Lays frames into one model's input. The buffers are kept while the placement stays the same."""

    def __init__(self, image: ImageInput, size: tuple[int, int] | None = None) -> None:
        """Prepare for a model's input.

        Args:
            image: What the model takes.
            size: (height, width) px instead of the input's default; only for inputs with a `size_multiple`.
        """
        self._image = image
        self._size = size
        self._letterbox: Letterbox | None = None
        self._takes_frames = image.dtype == "uint8"  # the session does the rest
        scale = np.full(3, image.scale, np.float32) / np.asarray(image.std, np.float32)
        shift = -np.asarray(image.mean, np.float32) / np.asarray(image.std, np.float32)
        self._scale = scale[:, None, None] if np.ptp(scale) else scale[0]
        self._shift = shift[:, None, None] if shift.any() else None

    def __call__(self, frame: NDArray[np.uint8], rectangle: Rectangle = "smallest") -> tuple[NDArray[Any], Letterbox]:
        """Make the model's input of one frame.

        Args:
            frame: (H, W, 3) uint8 BGR.
            rectangle: Which size the input shrinks to, where it may; see `rectangles`.

        Returns:
            The input, one picture in the model's layout, dtype, range and colour order, and where the frame lies in
            it. The array is a buffer that the next call overwrites.
        """
        placed = fit(frame.shape[0], frame.shape[1], self._image, self._size, rectangle)
        if placed != self._letterbox:
            self._allocate(placed)
        if (placed.content_h, placed.content_w) == frame.shape[:2]:
            np.copyto(self._content, frame)
        else:
            self._resize(frame)
        if not self._takes_frames:
            cv2.split(self._padded, self._channels)
            np.multiply(self._planes, self._scale, out=self._input[0], casting="unsafe")
            if self._shift is not None:
                self._input[0] += self._shift
        return self._input, placed

    def _resize(self, frame: NDArray[np.uint8]) -> None:
        height, width = self._content.shape[:2]
        if self._antialiased is not None:
            np.copyto(self._content, self._antialiased(frame).transpose(1, 2, 0), casting="unsafe")
        else:
            interpolation = _INTERPOLATION[self._image.interpolation]
            cv2.resize(frame, (width, height), dst=self._content, interpolation=interpolation)

    def _allocate(self, placed: Letterbox) -> None:
        self._letterbox = placed
        sizes = (placed.frame_h, placed.frame_w), (placed.content_h, placed.content_w)
        self._antialiased = AntialiasedResize(self._image.interpolation, *sizes) if self._image.antialias else None
        size = (placed.input_h, placed.input_w)
        self._padded = np.full((*size, 3), self._image.pad_value, np.uint8)
        rows = slice(placed.top, placed.top + placed.content_h)
        self._content = self._padded[rows, placed.left : placed.left + placed.content_w]
        self._input: NDArray[Any] = self._padded[None]
        if not self._takes_frames:
            self._planes = np.empty((3, *size), np.uint8)
            self._channels = list(self._planes[::-1] if self._image.colour == "RGB" else self._planes)
            self._input = np.empty((1, 3, *size), self._image.dtype)
