"""COCO's compressed run-length encoding of masks, straight from crops.

The format is that of pycocotools (maskApi.c): runs of zeros and ones in column order, the first of zeros; from the
third on each is written as the difference to the one two before; five bits a character, lowest first, offset 48.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskCrop


class Rle(TypedDict):
    """A mask as COCO writes it: `size` is [H, W], `counts` the compressed runs as ASCII text."""

    size: list[int]
    counts: str


def encode(crop: MaskCrop, height: int, width: int) -> Rle:
    """Encode a mask.

    Args:
        crop: The mask inside its box.
        height, width: Size of the frame, px.

    Returns:
        What `pycocotools.mask.decode` reads back to the same mask.
    """
    return {"size": [height, width], "counts": compress(run_lengths(crop, height, width))}


def run_lengths(crop: MaskCrop, height: int, width: int) -> NDArray[np.int64]:
    """Lengths of the runs of the whole frame in column order, (r,) int64, the first of zeros (it may be 0)."""
    crop_h, crop_w = crop.pixels.shape
    fenced = np.zeros((crop_w, crop_h + 2), np.int8)  # a column a row, between two zeros
    fenced[:, 1:-1] = crop.pixels.T
    steps = np.diff(fenced, axis=1)
    columns, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    offset = (columns + crop.left) * height + crop.top
    edges = np.stack([offset + starts, offset + ends], axis=1).ravel()
    # A run that ends where the next begins (foot of one column, head of the next) goes on.
    joined = np.flatnonzero(edges[1:-1:2] == edges[2::2]) * 2 + 1
    edges = np.delete(edges, np.concatenate([joined, joined + 1]))
    runs: NDArray[np.int64] = np.diff(edges, prepend=0, append=height * width)
    return runs[:-1] if len(runs) > 1 and runs[-1] == 0 else runs


def compress(counts: NDArray[np.int64]) -> str:
    """Write run lengths as COCO's text."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    groups = values[:, None] >> np.arange(0, 64, 5)  # what is left before each character
    digits = groups[:, :-1] & 0x1F
    rest = groups[:, 1:]
    done = np.where(digits & 0x10, rest == -1, rest == 0)  # the sign bit of this character says the rest already
    last = done.argmax(axis=1)[:, None]
    place = np.arange(digits.shape[1])
    characters = digits + np.where(place < last, 0x20, 0) + 48
    return bytes(characters[place <= last].astype(np.uint8)).decode("ascii")
