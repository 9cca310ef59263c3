"""Encode PNG files with a palette, which OpenCV can't (PNG specification, https://www.w3.org/TR/png-3/)."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE_COLOUR = 3
_LEVEL = 3  # of zlib: for label maps about as small as the default level, in half the time


def encode_palette(indices: NDArray[np.unsignedinteger[Any]], palette: NDArray[np.uint8]) -> bytes:
    """Encode an image of palette indices: 8 bits per pixel, colour type 3, no filter, not interlaced.

    Args:
        indices: (H, W) uint8, all below n; not empty.
        palette: (n, 3) uint8 RGB, n from 1 to 256.

    Returns:
        The bytes of the file.

    Raises:
        ValueError: The arrays have another shape or dtype, or an index is n or more.
    """
    if indices.dtype != np.uint8 or indices.ndim != 2 or not indices.size:
        raise ValueError(f"expected indices (H, W) uint8, found {indices.shape} {indices.dtype}")
    if palette.dtype != np.uint8 or palette.ndim != 2 or palette.shape[1] != 3 or not 1 <= len(palette) <= 256:
        raise ValueError(f"expected a palette (n, 3) uint8 of 1 to 256 colours, found {palette.shape} {palette.dtype}")
    if indices.max() >= len(palette):
        raise ValueError(f"expected indices below {len(palette)}, found {indices.max()}")
    height, width = indices.shape
    rows = np.zeros((height, 1 + width), np.uint8)  # every row begins with its filter type, 0: none
    rows[:, 1:] = indices
    header = struct.pack(">IIBBBBB", width, height, 8, _PALETTE_COLOUR, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), _LEVEL)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
