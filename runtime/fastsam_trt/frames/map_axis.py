"""One axis of a frame in a model's output maps, cut so that padding does not affect the masks.

As in ultralytics' retina masks (`process_mask_native`): maps are refined, linearly, by the smallest whole factor that
puts the frame's edges between cells. Then the padding is cut off, and the rest is resized to the frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.frames.letterbox import Letterbox


@dataclass(frozen=True, slots=True)
class MapAxis:
    """One axis of a frame over one axis of maps. Positions in cells count from the edge of the first: it covers 0 to 1.

    Attributes:
        frame: Pixels of the frame.
        cells: Cells of the maps.
        start, stop: Where the frame starts and ends in the maps, in cells.
        factor: Number of fine cells per cell.
    """

    frame: int
    cells: int
    start: float
    stop: float
    factor: int

    @property
    def gain(self) -> float:
        """Cells per pixel of the frame."""
        return (self.stop - self.start) / self.frame

    @property
    def overlapped(self) -> slice:
        """The cells that the frame overlaps, at its edges perhaps only in part."""
        return slice(math.floor(self.start), math.ceil(self.stop))

    def fine_cells(self) -> NDArray[np.float64]:
        """(k,) centres of the fine cells in the maps, in cells, with the first cell's centre at 0."""
        count = max(round((self.stop - self.start) * self.factor), 1)
        centres = self.start + (np.arange(count) + 0.5) * ((self.stop - self.start) / count)
        return np.asarray((centres - 0.5).clip(0, self.cells - 1))

    def pixels(self) -> NDArray[np.float64]:
        """(frame,) centres of the pixels among the fine cells, with the first fine cell's centre at 0."""
        count = max(round((self.stop - self.start) * self.factor), 1)
        return np.asarray(((np.arange(self.frame) + 0.5) * (count / self.frame) - 0.5).clip(0, count - 1))


def map_axes(letterbox: Letterbox, cells_h: int, cells_w: int) -> tuple[MapAxis, MapAxis]:
    """The rows and the columns of a frame in maps of (cells_h, cells_w) that cover a model's input."""
    axes = (
        (letterbox.frame_h, cells_h, letterbox.input_h, letterbox.top, letterbox.content_h),
        (letterbox.frame_w, cells_w, letterbox.input_w, letterbox.left, letterbox.content_w),
    )
    factor = max(_factor(length, cells, first, content) for _, cells, length, first, content in axes)
    rows, columns = (
        MapAxis(frame, cells, first * cells / length, (first + content) * cells / length, factor)
        for frame, cells, length, first, content in axes
    )
    return rows, columns


def _factor(length: int, cells: int, first: int, content: int) -> int:
    """The smallest whole factor that puts both edges of the content between fine cells; 1 if there is none."""
    stride, rest = divmod(length, cells)
    return 1 if rest else stride // math.gcd(stride, first, content)
