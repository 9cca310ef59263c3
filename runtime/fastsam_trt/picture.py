"""Pictures: any array or image file to the one form we work on, (H, W, 3) uint8 BGR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.errors import ImageFormatError, SourceUnreadableError

IMAGE_SUFFIXES = frozenset({".bmp", ".dib", ".jpeg", ".jpg", ".jpe", ".jp2", ".png", ".webp", ".avif", ".tif", ".tiff",
                            ".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".hdr", ".exr"})  # fmt: skip


def as_bgr(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring a picture into the form we work on.

    Args:
        picture: (H, W) or (H, W, 1) grey, (H, W, 3) BGR or (H, W, 4) BGRA, uint8 or uint16. Alpha is dropped, as
            OpenCV and Pillow do; 16 bits are rounded to 8.

    Returns:
        (H, W, 3) uint8 BGR, contiguous; the picture itself where it already is that.

    Raises:
        ImageFormatError: It is of another shape or dtype, or empty.
    """
    if not isinstance(picture, np.ndarray):
        raise ImageFormatError(type(picture).__name__)
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if picture.ndim not in (2, 3) or channels not in (1, 3, 4) or picture.size == 0:
        raise ImageFormatError(f"shape {picture.shape}")
    if picture.dtype == np.uint16:
        picture = ((picture.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if picture.dtype != np.uint8:
        raise ImageFormatError(f"dtype {picture.dtype}")
    if channels == 1:
        picture = np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2)
    elif channels == 4:
        picture = picture[..., :3]
    return np.ascontiguousarray(picture)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read an image file, turned upright by its EXIF orientation: (H, W, 3) uint8 BGR.

    Raises:
        SourceUnreadableError: The file is empty or no image.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceUnreadableError(str(path), f"it can't be read ({error.strerror})") from error
    if not data.size:
        raise SourceUnreadableError(str(path), "expected an image, found an empty file")
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise SourceUnreadableError(str(path), f"expected an image, OpenCV says: {error.err}") from error
    if picture is None:
        raise SourceUnreadableError(str(path), "expected an image, found a file that OpenCV can't read as one")
    if picture.dtype not in (np.uint8, np.uint16):
        raise SourceUnreadableError(str(path), f"expected an image of 8 or 16 bits a channel, found {picture.dtype}")
    return as_bgr(picture)
