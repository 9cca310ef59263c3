"""Encode mask crops as COCO's compressed run-length encoding (RLE).

The format is that of pycocotools (maskApi.c): runs of zeros and ones in column order, beginning with zeros. From the
fourth run on, the difference to the run two before is written; five bits per character, lowest first, offset 48.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskCrop


class Rle(TypedDict):
    """A mask in COCO's RLE: `size` is [H, W], `counts` the compressed runs as ASCII text."""

    size: list[int]
    counts: str


def encode(crop: MaskCrop, height: int, width: int) -> Rle:
    """Encode a mask.

    Args:
        crop: The mask inside its box.
        height, width: Size of the frame, px.

    Returns:
        The RLE, which `pycocotools.mask.decode` decodes to the same mask.
    """
    return {"size": [height, width], "counts": compress(run_lengths(crop, height, width))}


def run_lengths(crop: MaskCrop, height: int, width: int) -> NDArray[np.int64]:
    """Run lengths of the whole frame in column order, (r,) int64; the first run is of zeros and may have length 0."""
    crop_h, crop_w = crop.pixels.shape
    padded = np.zeros((crop_w, crop_h + 2), np.int8)  # transposed, with a zero at both ends
    padded[:, 1:-1] = crop.pixels.T
    steps = np.diff(padded, axis=1)
    columns, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    offset = (columns + crop.left) * height + crop.top
    edges = np.stack([offset + starts, offset + ends], axis=1).ravel()
    # A run that ends at the bottom of a column and one that begins at the top of the next are one run.
    joined = np.flatnonzero(edges[1:-1:2] == edges[2::2]) * 2 + 1
    edges = np.delete(edges, np.concatenate([joined, joined + 1]))
    runs: NDArray[np.int64] = np.diff(edges, prepend=0, append=height * width)
    return runs[:-1] if len(runs) > 1 and runs[-1] == 0 else runs


def compress(counts: NDArray[np.int64]) -> str:
    """Compress run lengths to COCO's text."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    groups = values[:, None] >> np.arange(0, 64, 5)  # the remaining bits before each character
    digits = groups[:, :-1] & 0x1F
    rest = groups[:, 1:]
    done = np.where(digits & 0x10, rest == -1, rest == 0)  # the sign bit of this character implies the rest
    last = done.argmax(axis=1)[:, None]
    column = np.arange(digits.shape[1])
    characters = digits + np.where(column < last, 0x20, 0) + 48
    return bytes(characters[column <= last].astype(np.uint8)).decode("ascii")
