"""Pictures: any array or image file to the one form we work on, (H, W, 3) uint8 BGR."""

from __future__ import annotations

import logging
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.errors import ImageFormatError, SourceUnreadableError
from fastsam_trt.frames.file_type import sniff
from fastsam_trt.frames.image_header import read_header
from fastsam_trt.frames.pillow_reader import PillowReader, check_size, turn_upright

_logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".apng", ".avif", ".bmp", ".dib", ".exr", ".hdr", ".heic", ".heif", ".hif", ".j2k", ".jfif",
                            ".jp2", ".jpe", ".jpeg", ".jpg", ".jpx", ".pbm", ".pfm", ".pgm", ".png", ".pnm", ".ppm",
                            ".tif", ".tiff", ".webp"})  # fmt: skip
"""What pictures are named. What they are, their content says: see `fastsam_trt.frames.file_type`."""


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


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image file, whatever its name, turned upright: (H, W, 3) uint8 BGR. See `decode_image`.

    Raises:
        SourceUnreadableError: The file is empty, broken, cut short or no image.
        PictureSizeError: It declares more than 200 million pixels.
        PackagesMissingError: It is a HEIC, and the extra `heic` is not installed.
    """
    try:
        if path.is_char_device() or path.is_block_device():
            raise SourceUnreadableError(str(path), "expected an image, found a device")
        data = path.read_bytes()
    except OSError as error:
        raise SourceUnreadableError(str(path), f"it can't be read ({error.strerror})") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode an image, turned upright.

    JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF, JPEG 2000, PNM, and HEIC with the extra `heic`. JPEG, PNG, WebP and TIFF are
    turned by their EXIF orientation, AVIF and HEIC by their own properties, which their standard puts before EXIF's.
    Alpha is dropped, 16 bits are rounded to 8. Of several pages or frames the first is taken, with a warning.

    Args:
        data: The whole file.
        name: What messages call it.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        SourceUnreadableError: It is empty, broken, cut short or no image.
        PictureSizeError: It declares more than 200 million pixels (`pillow_reader.MAX_PIXELS`); nothing was decoded.
        PackagesMissingError: It is a HEIC, and the extra `heic` is not installed.
    """
    content = sniff(data)
    if content.image_format is None:
        raise SourceUnreadableError(name, f"expected an image, found {content.name}")
    if content.kind == "image":
        header = read_header(data, content.image_format)
        if header is not None:
            check_size(name, header.width, header.height)
            if not header.whole:
                raise SourceUnreadableError(name, f"expected an image, found {content.name} that is cut short")
            picture = _decode_by_opencv(data)
            if picture is not None:
                return as_bgr(turn_upright(picture, header.orientation))
    with PillowReader(BytesIO(data), content, name) as file:
        if file.count > 1:
            _logger.warning("%s holds %d pictures, of which the first is taken", name, file.count)
        picture = as_bgr(file.read(0))
        file.check_end()
        return picture


def _decode_by_opencv(data: bytes) -> NDArray[Any] | None:
    """A picture as it is stored; None where OpenCV can't read it."""
    try:
        return cv2.imdecode(
            np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:
        return None
