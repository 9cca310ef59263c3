"""Read the images of a file, one or many, one at a time through Pillow."""

from __future__ import annotations

import importlib
import mmap
import os
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import FastsamError, PackagesMissingError, one_line
from fastsam_trt.errors import ImageSizeError, SourceUnreadableError
from fastsam_trt.frames.file_type import FileType
from fastsam_trt.frames.image_header import read_orientation
from fastsam_trt.frames.tiff_pages import TiffPages, find_pages

MAX_PIXELS = 200_000_000
"""Most pixels of an image that is decoded. It is compared with the size that the file declares, before decoding."""

# Each format is opened by its class: `PIL.Image.open` tries every format that Pillow knows, and has other limits.
_READERS = {
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "JPEG2000": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "PPM": ("PIL.PpmImagePlugin", "PpmImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
}
_TURNED = frozenset({"HEIF", "TIFF"})  # their readers turn images upright
_TAIL_B = 4096
_BITS = 258  # TIFF's tag: bits of each channel


class PillowReader(AbstractContextManager["PillowReader"]):
    """An open image file. Closing it closes the underlying file.

    Attributes:
        count: Number of images: pages of a TIFF (without thumbnails and reduced copies), frames of an animation,
            otherwise 1.
        whole: Whether the list of pages, or the frames, are complete.
    """

    def __init__(self, file: BinaryIO, file_type: FileType, name: str, max_pixels: int = MAX_PIXELS) -> None:
        """Read the header.

        Args:
            file: The bytes, from their start.
            file_type: The result of `sniff`.
            name: Its name in messages.
            max_pixels: Most pixels that an image may declare.

        Raises:
            SourceUnreadableError: It is broken, or of a format that Pillow does not read.
            PackagesMissingError: It is a HEIC, and pillow-heif is not installed.
        """
        self._file = file
        self._type = file_type
        self._name = name
        self._max_pixels = max_pixels
        self._at = 0
        try:
            self._pages = find_pages(file) if file_type.image_format == "TIFF" else TiffPages()
            file.seek(0)
            self._image = self._open()
            frames = int(getattr(self._image, "n_frames", 1)) if file_type.kind == "animation" else 1
        except FastsamError:
            file.close()
            raise
        except Exception as error:
            file.close()
            raise self._broken(error) from error
        # An animated PNG may have a default image that is none of its frames, for viewers without animation.
        self._first = int(bool(getattr(self._image, "default_image", False)) and frames > 1)
        self.whole = self._pages.whole and (frames == 1 or _reaches_end(file, file_type.image_format))
        self.count = len(self._pages.offsets) or frames - self._first

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._image.close()
        self._file.close()

    def read(self, number: int) -> NDArray[Any]:
        """Decode an image; in order is fastest.

        Args:
            number: Index of the image, from 0.

        Returns:
            Turned upright: (H, W) grey or (H, W, 3) BGR, uint8 or uint16.

        Raises:
            ImageSizeError: It declares more pixels than the limit.
            SourceUnreadableError: It is broken or truncated, or its channels have neither 8 nor 16 bits.
        """
        try:
            index = self._pages.numbers[number] if self._pages.numbers else number + self._first
            if index != self._at:
                self._image.seek(index)
                self._at = index
            width, height = self._image.size
            check_size(self._name, width, height, self._max_pixels)
            return self._decode(number)
        except FastsamError:
            raise
        except Exception as error:
            raise self._broken(error) from error

    def check_end(self) -> None:
        """Check that no further pages of a TIFF are lost.

        Raises:
            SourceUnreadableError: The list of pages is incomplete.
        """
        if not self._pages.whole:
            found = f"{self.count} page{'s' if self.count > 1 else ''}"
            raise SourceUnreadableError(self._name, f"expected the end of its list of pages, found {found}")

    @property
    def duration_s(self) -> float:
        """Display time of the last frame that was read, seconds; 10 ms or less become 0.1 s, as in browsers."""
        duration_ms = float(self._image.info.get("duration", 0) or 0)
        return duration_ms / 1e3 if duration_ms > 10 else 0.1

    def _open(self) -> Any:
        module, reader = _READERS[self._type.image_format or ""]
        try:
            opener = getattr(importlib.import_module(module), reader)
        except ImportError as error:
            if self._type.image_format != "HEIF":
                raise
            raise PackagesMissingError(["pillow-heif, which reads HEIC,"], "heic") from error
        try:
            return opener(self._file)
        except SyntaxError as error:  # how Pillow reports a layout that it does not support
            depth = self._pages.read_depth(self._file) if self._pages.offsets else ""
            if depth in {"", "uint8", "uint16"}:
                raise
            raise self._deep(depth) from error

    def _decode(self, number: int) -> NDArray[Any]:
        image, form = self._image, self._type.image_format
        if self._has_deep_colour():
            decoded = self._decode_by_opencv(number)
            if decoded is not None:
                return decoded
        image.load()
        mode = str(image.mode)
        if mode == "F" or (mode == "I" and form != "PPM"):
            raise self._deep("float32" if mode == "F" else "int32")
        if mode.startswith("I"):
            return self._upright(np.asarray(image).astype(np.uint16))
        return self._upright(pixels_of(image))

    def _upright(self, image: NDArray[Any]) -> NDArray[Any]:
        if self._type.image_format in _TURNED:
            return image
        return turn_upright(image, read_orientation(self._image.info.get("exif", b"")))

    def _has_deep_colour(self) -> bool:
        """Whether its colours have 16 bits; Pillow would return the upper 8, not rounded."""
        if self._type.image_format == "PPM":
            return bool(self._image.mode == "RGB" and self._image.tile[0].args == ("RGB", 65535))
        if self._type.image_format != "TIFF" or self._image.mode not in {"RGB", "RGBA", "RGBX"}:
            return False
        return bool(max(self._image.tag_v2.get(_BITS, (8,))) == 16)

    def _decode_by_opencv(self, number: int) -> NDArray[Any] | None:
        """Decode an image by OpenCV; None if it can't. The page of a TIFF is made the first one."""
        data = np.frombuffer(_private_copy(self._file), np.uint8)
        if self._pages.offsets:
            self._pages.begin_with(number, data)
        try:
            return cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        except cv2.error:
            return None

    def _deep(self, found: str) -> SourceUnreadableError:
        return SourceUnreadableError(self._name, f"expected an image of 8 or 16 bits per channel, found {found}")

    def _broken(self, error: Exception) -> SourceUnreadableError:
        found = f"{self._type.name} that is broken or cut short ({one_line(error)})"
        return SourceUnreadableError(self._name, f"expected an image, found {found}")


def _private_copy(file: BinaryIO) -> mmap.mmap | bytearray:
    """The bytes of a file, to modify without changing the file; a file on disk is read only where accessed."""
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError):
        file.seek(0)
        return bytearray(file.read())


def _reaches_end(file: BinaryIO, image_format: str | None) -> bool:
    """Whether the file of an animation is complete. For a GIF or PNG, Pillow counts only the frames that exist."""
    at = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL_B, 0))
    tail = file.read()
    file.seek(at)
    if image_format == "GIF":
        return tail.rstrip(b"\0\r\n ").endswith(b";")
    return image_format != "PNG" or b"IEND" in tail


def check_size(name: str, width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
    """Refuse an image that is too large to decode.

    Raises:
        ImageSizeError: It declares more pixels than the limit.
    """
    if width * height > max_pixels:
        raise ImageSizeError(name, max_pixels, width, height)


def pixels_of(image: Any) -> NDArray[np.uint8]:
    """The pixels of a loaded Pillow image with 8 bits per channel, without alpha: (H, W) grey or (H, W, 3) BGR."""
    if image.mode in {"1", "L", "LA", "La"}:
        return np.asarray(image.convert("L"))
    if image.mode == "RGBa":
        image = image.convert("RGBA")
    return np.asarray(cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR), np.uint8)


def turn_upright(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an image upright by its EXIF orientation, 1 to 8 (EXIF 3.0, tag 274)."""
    if orientation in {5, 6, 7, 8}:
        image = cv2.transpose(image)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return image if flip is None else cv2.flip(image, flip)
