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


class MaskSource(Protocol):
    """Undecoded masks of a frame's segments."""

    def __len__(self) -> int:
        """How many masks there are."""

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        """Decode some masks at the frame's resolution, in the order of the indices."""


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
