"""Preprocessing of frames on the host: BGR uint8 to the model's input, through reused buffers."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.cpu_count import CpuCount
from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt.frames.antialiased_resize import AntialiasedResize
from fastsam_trt.frames.letterbox import Letterbox, fit
from fastsam_trt.frames.rectangles import Rectangle

_INTERPOLATION = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


class FramePreprocessor:
    """Prepares frames for one model. The buffers are reused while the letterbox stays the same."""

    def __init__(self, image: ImageInput, size: tuple[int, int] | None = None) -> None:
        """Set up for a model's input.

        Args:
            image: The model's input.
            size: (height, width) px instead of the input's default; only for inputs with a `size_multiple`.
        """
        self._image = image
        self._size = size
        self._letterbox: Letterbox | None = None
        self._is_uint8 = image.dtype == "uint8"  # the graph normalises by itself
        scale = np.full(3, image.scale, np.float32) / np.asarray(image.std, np.float32)
        shift = -np.asarray(image.mean, np.float32) / np.asarray(image.std, np.float32)
        self._scale = scale[:, None, None] if np.ptp(scale) else scale[0]
        self._shift = shift[:, None, None] if shift.any() else None

    def prepare(self, frame: NDArray[np.uint8], rectangle: Rectangle = "smallest") -> tuple[NDArray[Any], Letterbox]:
        """Prepare one frame.

        Args:
            frame: (H, W, 3) uint8 BGR.
            rectangle: Which rectangle the input shrinks to, where the model allows it; see `rectangles`.

        Returns:
            The model's input for one image, in its layout, dtype, range and colour order, and where the frame lies in
            it. The next call overwrites the array.
        """
        letterbox = fit(frame.shape[0], frame.shape[1], self._image, self._size, rectangle)
        if letterbox != self._letterbox:
            self._allocate(letterbox)
        if (letterbox.content_h, letterbox.content_w) == frame.shape[:2]:
            np.copyto(self._content, frame)
        else:
            self._resize(frame)
        if not self._is_uint8:
            cv2.split(self._padded, self._channels)
            np.multiply(self._planes, self._scale, out=self._input[0], casting="unsafe")
            if self._shift is not None:
                self._input[0] += self._shift
        return self._input, letterbox

    def _resize(self, frame: NDArray[np.uint8]) -> None:
        height, width = self._content.shape[:2]
        if self._antialiased is not None:
            np.copyto(self._content, self._antialiased.resize(frame).transpose(1, 2, 0), casting="unsafe")
        else:
            interpolation = _INTERPOLATION[self._image.interpolation]
            cv2.resize(frame, (width, height), dst=self._content, interpolation=interpolation)

    def _allocate(self, letterbox: Letterbox) -> None:
        self._letterbox = letterbox
        sizes = (letterbox.frame_h, letterbox.frame_w), (letterbox.content_h, letterbox.content_w)
        self._antialiased = AntialiasedResize(self._image.interpolation, *sizes) if self._image.antialias else None
        size = (letterbox.input_h, letterbox.input_w)
        self._padded = np.full((*size, 3), self._image.pad_value, np.uint8)
        rows = slice(letterbox.top, letterbox.top + letterbox.content_h)
        self._content = self._padded[rows, letterbox.left : letterbox.left + letterbox.content_w]
        self._input: NDArray[Any] = self._padded[None]
        if not self._is_uint8:
            self._planes = np.empty((3, *size), np.uint8)
            self._channels = list(self._planes[::-1] if self._image.colour == "RGB" else self._planes)
            self._input = np.empty((1, 3, *size), self._image.dtype)


def limit_opencv_threads(threads: int | None = None) -> None:
    """Lower OpenCV's thread count, one number for the whole process, to the usable CPUs; never raise it.

    OpenCV respects the process's CPU affinity, but not the CPU quota of its control group. With a quota of half a CPU
    it starts one thread per CPU of the machine. They use up the quota and are all stopped together.

    numpy needs no such limit: matrix products per frame are small enough that its BLAS library starts no threads (see
    `axis_resize`).

    Args:
        threads: A lower limit than the usable CPUs; None: all of them.

    Raises:
        ThreadsError: `threads` is not between 1 and the usable CPUs.
    """
    count = CpuCount.of_process()
    most = count.usable if threads is None else count.threads(threads)
    if cv2.getNumThreads() > most:
        cv2.setNumThreads(most)
