"""MaskSource: the protocol of masks that are decoded on demand; MaskCrop: a decoded mask inside its box."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class MaskCrop(NamedTuple):
    """A mask inside its box; outside it is False.

    Attributes:
        left, top: Position of the crop in the frame, px.
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

    def cut_out(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut the mask out of its frame.

        Args:
            frame: (H, W, 3) uint8 BGR.

        Returns:
            (h, w, 4) uint8 BGRA, of the crop's size: alpha is 255 inside the mask; all channels are 0 outside it.
        """
        height, width = self.pixels.shape
        image = np.full((height, width, 4), 255, np.uint8)
        image[..., :3] = frame[self.top : self.top + height, self.left : self.left + width]
        image[~self.pixels] = 0
        return image


class MaskSource(Protocol):
    """Undecoded masks of a frame's segments."""

    def __len__(self) -> int:
        """The number of masks."""

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode masks by index, at the frame's resolution: a crop for each index, in that order."""

    def coarse(self, index: int, window: NDArray[np.float64], size_px: int) -> NDArray[np.bool_]:
        """One mask at the model's resolution, sampled over a window of the frame, without decoding it.

        Args:
            index: Index of the mask.
            window: (4,) xyxy, px of the frame.
            size_px: Side of the result.

        Returns:
            (size_px, size_px) bool.
        """


class MaskSubset:
    """A subset of the masks of a source, as a source."""

    def __init__(self, masks: MaskSource, indices: NDArray[np.intp]) -> None:
        """Hold a source and the (k,) indices of the subset in it."""
        self._masks = masks
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode masks by their index in the subset."""
        return self._masks.decode([int(self._indices[index]) for index in indices])

    def coarse(self, index: int, window: NDArray[np.float64], size_px: int) -> NDArray[np.bool_]:
        """See `MaskSource.coarse`; the index is that in the subset."""
        return self._masks.coarse(int(self._indices[index]), window, size_px)


def empty_crop(x0: int, y0: int, x1: int, y1: int) -> MaskCrop:
    """The mask in a box of whole px without an area: its x1 or y1 may be below x0 or y0."""
    return MaskCrop(x0, y0, np.zeros((max(y1 - y0, 0), max(x1 - x0, 0)), np.bool_))


def bounds(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """The box around a mask (h, w) that is not empty: xyxy in its rows and columns, x1 and y1 exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def paste(crops: Sequence[MaskCrop], height: int, width: int) -> NDArray[np.bool_]:
    """Paste mask crops into whole frames.

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
