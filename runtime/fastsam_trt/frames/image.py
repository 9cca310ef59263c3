"""Read images: any array or image file to (H, W, 3) uint8 BGR."""

from __future__ import annotations

import logging
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.errors import ImageFormatError, ImageTypeError, SourceUnreadableError
from fastsam_trt.frames.file_type import sniff
from fastsam_trt.frames.image_header import read_header
from fastsam_trt.frames.pillow_reader import MAX_PIXELS, PillowReader, check_size, turn_upright

_logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".apng", ".avif", ".bmp", ".dib", ".exr", ".hdr", ".heic", ".heif", ".hif", ".j2k", ".jfif",
                            ".jp2", ".jpe", ".jpeg", ".jpg", ".jpx", ".pbm", ".pfm", ".pgm", ".png", ".pnm", ".ppm",
                            ".tif", ".tiff", ".webp"})  # fmt: skip
"""File name suffixes of images. The format itself is detected by content, see `fastsam_trt.frames.file_type`."""

_MOST_SCANS = 100  # usual progressive JPEGs have about ten


ColourOrder = Literal["bgr", "rgb"]
"""The order of the colour channels of an array or tensor."""

_ROUNDED = 0.5 / 255  # what rounding to 8 bits may change


def as_bgr(image: NDArray[Any], colours: ColourOrder | None = None) -> NDArray[np.uint8]:
    """Convert an array to the form that the pipeline works on.

    Args:
        image: (H, W) or (H, W, 1) grey, (H, W, 3) or (H, W, 4) in colour; uint8, uint16, or floats from 0 to 1. Alpha
            is dropped, as OpenCV and Pillow do; 16 bits and floats are rounded to 8 bits.
        colours: The order of its channels, `bgr` (or BGRA) or `rgb` (or RGBA). None: BGR, as OpenCV reads images;
            float images in colour need one of the two, since libraries of both orders make them.

    Returns:
        (H, W, 3) uint8 BGR, contiguous; the image itself if it already is that.

    Raises:
        ImageFormatError: It has another shape, dtype or range, or is empty.
        ImageTypeError: It is no array.
    """
    if not isinstance(image, np.ndarray):
        raise ImageTypeError(type(image).__name__)
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in (1, 3, 4) or image.size == 0:
        raise ImageFormatError(f"shape {image.shape}", _layout_fix(image))
    if image.dtype != np.uint8:
        if channels > 1 and colours is None and image.dtype.kind == "f":
            found = f"dtype {image.dtype} of unknown colour order"
            raise ImageFormatError(found, 'pass colours="rgb" or colours="bgr"')
        image = _as_uint8(image)
    if channels == 1:
        image = np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    elif colours == "rgb":
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR if channels == 3 else cv2.COLOR_RGBA2BGR))
    elif channels == 4:
        image = image[..., :3]
    return np.ascontiguousarray(image)


def _as_uint8(image: NDArray[Any]) -> NDArray[np.uint8]:
    """An array of uint16, or of floats from 0 to 1, rounded to 8 bits."""
    kind = image.dtype.kind
    if kind == "u" and image.dtype.itemsize == 2:
        return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if kind != "f":
        fixes = {"b": "use uint8 with 0 and 255"}
        fixes |= dict.fromkeys("iu", "if its values are 0 to 255, convert it to uint8")
        raise ImageFormatError(f"dtype {image.dtype}", fixes.get(kind, ""))
    low, high = float(image.min()), float(image.max())
    if not (low > -_ROUNDED and high < 1 + _ROUNDED):  # also false for NaN
        fix = "divide it by 255" if low >= 0 and 1 < high <= 255 else "scale or clip it"
        raise ImageFormatError(f"{image.dtype} from {low:g} to {high:g}", fix)
    scaled = cv2.convertScaleAbs(image.astype(np.float32, copy=False), alpha=255)
    return np.asarray(scaled, np.uint8).reshape(image.shape)


def _layout_fix(image: NDArray[Any]) -> str:
    """What to do with an array of another layout that images often have."""
    if image.ndim == 4 and len(image):
        return "for a batch, pass a list of images: list(batch)"
    if image.ndim == 3 and image.shape[0] in (1, 3, 4) and image.size:
        return "for channels first, use image.transpose(1, 2, 0)"
    return ""


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
