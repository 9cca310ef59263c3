"""Masks as coefficients over prototypes (YOLACT, arXiv 1904.02689): decoded for chosen segments, inside their boxes.

A mask's logits are its coefficients times the prototypes; the mask is where they are above zero after bilinear
resizing to the frame. All three steps are done on the box alone. Bilinear resizing along one axis is a matrix with two
entries a row, so a box's resize is two small matrix products: exact at any subpixel offset, and faster than a warp.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.letterbox import Letterbox
from fastsam_trt.masks import MaskCrop


class PrototypeMasks:
    """Undecoded masks of one frame."""

    def __init__(
        self,
        prototypes: NDArray[np.float32],
        coefficients: NDArray[np.float32],
        boxes: NDArray[np.float32],
        resize: PrototypeResize,
    ) -> None:
        """Keep what the masks are made of.

        Args:
            prototypes: (c, ph, pw) float32, over the model's input. Kept, not copied.
            coefficients: (n, c) float32.
            boxes: (n, 4) float32 xyxy, px of the frame. A pixel column x belongs to a box if x0 <= x < x1.
            resize: The resize from the prototypes to the frame.
        """
        self._prototypes = prototypes
        self._coefficients = coefficients
        self._edges = np.ceil(boxes).astype(np.intp)
        self._resize = resize

    def __len__(self) -> int:
        return len(self._coefficients)

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode some masks.

        Args:
            indices: Which.

        Returns:
            A crop for each index, at the frame's resolution.
        """
        rows, columns = self._resize.rows, self._resize.columns
        crops = []
        for index in indices:
            x0, y0, x1, y1 = self._edges[index].tolist()
            if x1 <= x0 or y1 <= y0:
                crops.append(MaskCrop(x0, y0, np.zeros((max(y1 - y0, 0), max(x1 - x0, 0)), np.bool_)))
                continue
            top, bottom = rows.reach(y0, y1)
            left, right = columns.reach(x0, x1)
            part = self._prototypes[:, top:bottom, left:right]
            logits = (self._coefficients[index] @ part.reshape(len(part), -1)).reshape(part.shape[1:])
            wide = logits @ columns.weights[x0:x1, left:right].T
            crops.append(MaskCrop(x0, y0, rows.weights[y0:y1, top:bottom] @ wide > 0))
        return crops


class AxisResize:
    """Bilinear resizing along one axis, as a matrix.

    Attributes:
        weights: (frame px, prototype px) float32; each row has two entries at most.
    """

    def __init__(self, frame_px: int, prototype_px: int, input_px: int, gain: float, pad_px: int) -> None:
        """Lay out the matrix.

        Args:
            frame_px: Length of the axis in the frame.
            prototype_px: Length in the prototypes.
            input_px: Length in the model's input, which the prototypes cover.
            gain: Input px per frame px.
            pad_px: Padding before the frame in the input.
        """
        centres = ((np.arange(frame_px) + 0.5) * gain + pad_px) * (prototype_px / input_px) - 0.5
        centres = centres.clip(0, prototype_px - 1)
        self._first = np.minimum(centres.astype(np.intp), max(prototype_px - 2, 0))
        second = np.minimum(self._first + 1, prototype_px - 1)
        fraction = (centres - self._first).astype(np.float32)
        self.weights = np.zeros((frame_px, prototype_px), np.float32)
        pixels = np.arange(frame_px)
        self.weights[pixels, self._first] = 1 - fraction
        self.weights[pixels, second] += fraction

    def reach(self, start: int, stop: int) -> tuple[int, int]:
        """The range of prototype px that frame px from start to stop (exclusive) are made of."""
        return int(self._first[start]), int(self._first[stop - 1]) + 2


class PrototypeResize:
    """The resize from prototypes to one frame's pixels; the same for all frames of one source."""

    def __init__(self, letterbox: Letterbox, prototypes_h: int, prototypes_w: int) -> None:
        """Lay out both axes: prototypes of (prototypes_h, prototypes_w) px cover the letterbox's input."""
        self.letterbox = letterbox
        self.rows = AxisResize(
            letterbox.frame_h, prototypes_h, letterbox.input_h, letterbox.gain_y, letterbox.top
        )  # fmt: skip
        self.columns = AxisResize(
            letterbox.frame_w, prototypes_w, letterbox.input_w, letterbox.gain_x, letterbox.left
        )  # fmt: skip
