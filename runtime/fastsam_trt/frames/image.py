"""Read images: any array or image file to (H, W, 3) uint8 BGR."""

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
from fastsam_trt.frames.pillow_reader import MAX_PIXELS, PillowReader, check_size, turn_upright

_logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".apng", ".avif", ".bmp", ".dib", ".exr", ".hdr", ".heic", ".heif", ".hif", ".j2k", ".jfif",
                            ".jp2", ".jpe", ".jpeg", ".jpg", ".jpx", ".pbm", ".pfm", ".pgm", ".png", ".pnm", ".ppm",
                            ".tif", ".tiff", ".webp"})  # fmt: skip
"""File name suffixes of images. The format itself is detected by content, see `fastsam_trt.frames.file_type`."""

_MOST_SCANS = 100  # usual progressive JPEGs have about ten


def as_bgr(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert an image to the form that the pipeline works on.

    Args:
        image: (H, W) or (H, W, 1) grey, (H, W, 3) BGR or (H, W, 4) BGRA, uint8 or uint16. Alpha is dropped, as
            OpenCV and Pillow do; 16 bits are rounded to 8.

    Returns:
        (H, W, 3) uint8 BGR, contiguous; the image itself if it already is that.

    Raises:
        ImageFormatError: It has another shape or dtype, or is empty.
    """
    if not isinstance(image, np.ndarray):
        raise ImageFormatError(type(image).__name__)
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in (1, 3, 4) or image.size == 0:
        raise ImageFormatError(f"shape {image.shape}")
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if image.dtype != np.uint8:
        raise ImageFormatError(f"dtype {image.dtype}")
    if channels == 1:
        image = np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    elif channels == 4:
        image = image[..., :3]
    return np.ascontiguousarray(image)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image file of any name, turned upright: (H, W, 3) uint8 BGR. See `decode_image`.

    Raises:
        SourceUnreadableError: The file is empty, broken, truncated or no image.
        ImageSizeError: It declares more than 200 million pixels.
        PackagesMissingError: It is a HEIC, and the extra `heic` is not installed.
    """
    try:
        if path.is_char_device() or path.is_block_device():
            raise SourceUnreadableError(str(path), "expected an image, found a device")
        data = path.read_bytes()
    except OSError as error:
        raise SourceUnreadableError(str(path), f"it can't be read ({error.strerror})") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode an image, turned upright.

    Formats: JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF, JPEG 2000, PNM, and HEIC with the extra `heic`. JPEG, PNG, WebP and
    TIFF are turned by their EXIF orientation, AVIF and HEIC by their own properties, which take precedence by their
    standard. Alpha is dropped, 16 bits are rounded to 8. Of several pages or frames the first is used, with a warning.

    Args:
        data: The whole file.
        name: Its name in messages.
        max_pixels: Most pixels that it may declare.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        SourceUnreadableError: It is empty, broken, truncated or no image.
        ImageSizeError: It declares more pixels than `max_pixels`; nothing was decoded.
        PackagesMissingError: It is a HEIC, and the extra `heic` is not installed.
    """
    file_type = sniff(data)
    if file_type.image_format is None:
        raise SourceUnreadableError(name, f"expected an image, found {file_type.name}")
    if file_type.kind == "image":
        header = read_header(data, file_type.image_format)
        if header is not None:
            check_size(name, header.width, header.height, max_pixels)
            if header.scans > _MOST_SCANS:
                raise SourceUnreadableError(
                    name, f"expected a JPEG of at most {_MOST_SCANS} scans, found {header.scans}; save it again"
                )
            if not header.whole:
                raise SourceUnreadableError(name, f"expected an image, found {file_type.name} that is cut short")
            image = _decode_by_opencv(data)
            if image is not None:
                return as_bgr(turn_upright(image, header.orientation))
    with PillowReader(BytesIO(data), file_type, name, max_pixels) as file:
        if file.count > 1:
            _logger.warning("%s holds %d images; only the first is used", name, file.count)
        image = as_bgr(file.read(0))
        file.check_end()
        return image


def _decode_by_opencv(data: bytes) -> NDArray[Any] | None:
    """The image as it is stored; None if OpenCV can't read it."""
    try:
        return cv2.imdecode(
            np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:
        return None
