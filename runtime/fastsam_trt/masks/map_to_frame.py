"""Resize maps over a model's input, such as prototypes or logits, to the pixels of a frame."""

from __future__ import annotations

import threading
from collections import OrderedDict

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.frames.axis_resize import bilinear
from fastsam_trt.frames.letterbox import Letterbox
from fastsam_trt.frames.map_axis import map_axes

_MAX_CACHED = 8  # a few megabytes each, for frames of 1080p


class MapToFrame:
    """A bilinear resize, corners not aligned, from the cells that the frame covers: padding does not affect it.

    It is the same for all frames of one source, so it is set up once.

    Attributes:
        letterbox: Where the frame lies in the model's input.
        cells_h, cells_w: Size of the maps.
        rows, columns: The resize along each axis.
        nearest_rows, nearest_columns: (frame_h,) and (frame_w,) index of the cell that holds the centre of each pixel.
    """

    def __init__(self, letterbox: Letterbox, cells_h: int, cells_w: int) -> None:
        """Set up both axes, for maps of (cells_h, cells_w) that cover the letterbox's input."""
        self.letterbox = letterbox
        self.cells_h, self.cells_w = cells_h, cells_w
        self._axes = map_axes(letterbox, cells_h, cells_w)
        self.rows, self.columns = map(bilinear, self._axes)
        self.nearest_rows, self.nearest_columns = (
            np.clip((np.arange(axis.frame) + 0.5) * axis.gain + axis.start, 0, axis.cells - 1).astype(np.intp)
            for axis in self._axes
        )

    @property
    def content(self) -> tuple[slice, slice]:
        """Rows and columns of the cells that the frame covers; the others are padding."""
        return self._axes[0].overlapped, self._axes[1].overlapped

    def reach(self, x0: int, y0: int, x1: int, y1: int) -> tuple[slice, slice]:
        """Rows and columns of the maps that a window of the frame, not empty, depends on."""
        return slice(*self.rows.reach(y0, y1)), slice(*self.columns.reach(x0, x1))

    def window(self, part: NDArray[np.float32], x0: int, y0: int, x1: int, y1: int) -> NDArray[np.float32]:
        """Resize maps to a window of the frame.

        Args:
            part: (c, h, w) float32, the cells that `reach` returns.
            x0, y0, x1, y1: The window, px of the frame.

        Returns:
            (y1 - y0, c, x1 - x0) float32.
        """
        channels, height, width = part.shape
        by_column = np.ascontiguousarray(part.transpose(2, 0, 1)).reshape(width, -1)
        wide = self.columns.apply(by_column, x0, x1, self.columns.reach(x0, x1)[0]).reshape(x1 - x0, channels, height)
        by_row = np.ascontiguousarray(wide.transpose(2, 1, 0)).reshape(height, -1)
        return self.rows.apply(by_row, y0, y1, self.rows.reach(y0, y1)[0]).reshape(y1 - y0, channels, x1 - x0)

    def coarse(self, window: NDArray[np.float64], size_px: int) -> tuple[slice, slice, NDArray[np.float64]]:
        """How to sample a window of the frame at a low resolution, directly from the maps.

        Args:
            window: (4,) xyxy, px of the frame.
            size_px: Side of the result.

        Returns:
            Rows and columns of the cells that it needs, and the (2, 3) matrix from pixels of the result to those
            cells, for `warp`.
        """
        parts, matrix = [], np.zeros((2, 3))
        for axis, cells in enumerate(self._axes[::-1]):
            low, high = (window[[axis, axis + 2]] * cells.gain + cells.start).tolist()
            inside = cells.overlapped
            first = int(np.clip(np.floor(low - 0.5), inside.start, inside.stop - 1))
            parts.append(slice(first, int(np.clip(np.ceil(high + 0.5), first + 1, inside.stop))))
            matrix[axis, axis] = (high - low) / size_px
            matrix[axis, 2] = low + 0.5 * matrix[axis, axis] - 0.5 - first
        return parts[1], parts[0], matrix

    def to_frame(self, cells: NDArray[np.intp]) -> NDArray[np.intp]:
        """The pixels of the frame that depend on cells.

        Args:
            cells: (n, 4) xyxy, whole cells, x1 and y1 exclusive.

        Returns:
            (n, 4) xyxy, whole px inside the frame, x1 and y1 exclusive.
        """
        edges = np.empty((len(cells), 4), np.intp)
        for axis, to in enumerate(self._axes[::-1]):
            first = np.ceil((cells[:, axis] - 0.5 - to.start) / to.gain - 0.5)
            last = np.floor((cells[:, axis + 2] + 0.5 - to.start) / to.gain - 0.5) + 1
            edges[:, axis], edges[:, axis + 2] = first.clip(0, to.frame), last.clip(0, to.frame)
        return edges


def warp(cells: NDArray[np.float32], matrix: NDArray[np.float64], size_px: int) -> NDArray[np.float32]:
    """Sample cells (h, w) float32 bilinearly by the matrix of `MapToFrame.coarse`: (size_px, size_px) float32."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(
            np.ascontiguousarray(cells), matrix, (size_px, size_px), flags=flags, borderMode=cv2.BORDER_REPLICATE
        ),
        np.float32,
    )


class MapToFrameCache:
    """A cache of recent resizes: the frames of a source have one size, the images of a folder a few. Thread-safe."""

    def __init__(self) -> None:
        self._cached: OrderedDict[tuple[Letterbox, int, int], MapToFrame] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, letterbox: Letterbox, cells_h: int, cells_w: int) -> MapToFrame:
        """The resize of maps of (cells_h, cells_w) to a frame."""
        key = letterbox, cells_h, cells_w
        with self._lock:
            resize = self._cached.get(key)
            if resize is not None:
                self._cached.move_to_end(key)
                return resize
        resize = MapToFrame(letterbox, cells_h, cells_w)
        with self._lock:
            self._cached[key] = resize
            if len(self._cached) > _MAX_CACHED:
                self._cached.popitem(last=False)
        return resize
