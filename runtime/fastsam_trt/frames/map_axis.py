"""MapAxis: which cells of a model's maps a frame is read from, so that padding has no part in its masks.

As ultralytics' retina masks do it (`process_mask_native`): the maps are made finer, linearly, by the smallest whole
factor for which the frame's edges lie between cells, the padding is cut off, and what is left is resized to the frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.frames.letterbox import Letterbox


@dataclass(frozen=True, slots=True)
class MapAxis:
    """One axis of a frame over one axis of maps. Cells count from the first one's edge: it covers 0 to 1.

    Attributes:
        frame: Pixels of the frame.
        cells: Cells of the maps.
        start, stop: Where the frame begins and ends in the maps, cells.
        factor: How many fine cells there are for a cell.
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
        """The cells that the frame lies on, those at its edges perhaps in part only."""
        return slice(math.floor(self.start), math.ceil(self.stop))

    def fine_cells(self) -> NDArray[np.float64]:
        """(k,) where the centres of the fine cells lie in the maps, cells, the first cell's centre at 0."""
        count = max(round((self.stop - self.start) * self.factor), 1)
        centres = self.start + (np.arange(count) + 0.5) * ((self.stop - self.start) / count)
        return np.asarray((centres - 0.5).clip(0, self.cells - 1))

    def pixels(self) -> NDArray[np.float64]:
        """(frame,) where the centres of pixels lie among the fine cells, the first fine cell's centre at 0."""
        count = max(round((self.stop - self.start) * self.factor), 1)
        return np.asarray(((np.arange(self.frame) + 0.5) * (count / self.frame) - 0.5).clip(0, count - 1))


def map_axes(letterbox: Letterbox, cells_h: int, cells_w: int) -> tuple[MapAxis, MapAxis]:
    """Where a frame lies in maps of (cells_h, cells_w) that cover a model's input: its rows and its columns."""
    axes = (
        (letterbox.frame_h, cells_h, letterbox.input_h, letterbox.top, letterbox.content_h),
        (letterbox.frame_w, cells_w, letterbox.input_w, letterbox.left, letterbox.content_w),
    )
    factor = max(_factor(made, cells, first, content) for _, cells, made, first, content in axes)
    rows, columns = (
        MapAxis(frame, cells, first * cells / made, (first + content) * cells / made, factor)
        for frame, cells, made, first, content in axes
    )
    return rows, columns


def _factor(made: int, cells: int, first: int, content: int) -> int:
    """The smallest whole factor that puts both edges of the content between fine cells; 1 where none does."""
    stride, rest = divmod(made, cells)
    return 1 if rest else stride // math.gcd(stride, first, content)
