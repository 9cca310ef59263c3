"""Masks that are decoded on demand, each inside its box only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class MaskCrop(NamedTuple):
    """A mask inside its box; it is False everywhere else.

    Attributes:
        left, top: Where the crop lies in the frame, px.
        pixels: (h, w) bool.
    """

    left: int
    top: int
    pixels: NDArray[np.bool_]

    def holds(self, x: int, y: int) -> bool:
        """Whether the mask is True at a pixel of the frame."""
        column, row = x - self.left, y - self.top
        height, width = self.pixels.shape
        return 0 <= row < height and 0 <= column < width and bool(self.pixels[row, column])


class MaskSource(Protocol):
    """Undecoded masks of a frame's segments."""

    def __len__(self) -> int:
        """How many masks there are."""

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode some masks at the frame's resolution, in the order of the indices."""

    def coarse(self, index: int, window: NDArray[np.float64], size_px: int) -> NDArray[np.bool_]:
        """One mask as the model sees it, without decoding it, laid over a window.

        Args:
            index: Which.
            window: (4,) xyxy, px of the frame.
            size_px: Side of the map.

        Returns:
            (size_px, size_px) bool.
        """


class MaskSubset:
    """Some masks of a source, as a source of their own."""

    def __init__(self, masks: MaskSource, indices: NDArray[np.intp]) -> None:
        """Keep which: (k,) into the source."""
        self._masks = masks
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode some masks; indices count in the subset."""
        return self._masks.decode([int(self._indices[index]) for index in indices])

    def coarse(self, index: int, window: NDArray[np.float64], size_px: int) -> NDArray[np.bool_]:
        """See `MaskSource.coarse`; the index counts in the subset."""
        return self._masks.coarse(int(self._indices[index]), window, size_px)


def paste(crops: Sequence[MaskCrop], height: int, width: int) -> NDArray[np.bool_]:
    """Place mask crops on whole frames.

    Args:
        crops: n crops.
        height, width: Size of the frame, px.

    Returns:
        (n, H, W) bool.
    """
    masks = np.zeros((len(crops), height, width), np.bool_)
    for mask, (left, top, pixels) in zip(masks, crops, strict=True):
        mask[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return masks
