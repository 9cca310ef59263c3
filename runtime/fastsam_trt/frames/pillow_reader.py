"""PillowReader: the pictures of a file, one or many, read one at a time through Pillow."""

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
from fastsam_trt.errors import PictureSizeError, SourceUnreadableError
from fastsam_trt.frames.file_type import FileType
from fastsam_trt.frames.image_header import read_orientation
from fastsam_trt.frames.tiff_pages import TiffPages, find_pages

MAX_PIXELS = 200_000_000
"""The largest picture that is decoded, px. It is compared with what a file declares, before anything is decoded."""

# Opened by their own classes: `PIL.Image.open` tries every format that Pillow knows, and has limits of its own.
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
_TURNED = frozenset({"HEIF", "TIFF"})  # what their readers turn upright by themselves
_TAIL_B = 4096
_BITS = 258  # TIFF's tag: bits of each channel


class PillowReader(AbstractContextManager["PillowReader"]):
    """A picture file that is open. Closing it closes what it reads from.

    Attributes:
        count: How many pictures it holds: pages of a TIFF (thumbnails and reduced copies are none), frames of an
            animation, else 1.
        whole: Whether its list of pages, or its frames, reach their end.
    """

    def __init__(self, file: BinaryIO, content: FileType, name: str) -> None:
        """Read the header.

        Args:
            file: The bytes, from their start.
            content: What `sniff` says of them.
            name: What the user called it.

        Raises:
            SourceUnreadableError: It is broken, or of a kind that Pillow does not read.
            PackagesMissingError: It is a HEIC, and pillow-heif is not installed.
        """
        self._file = file
        self._content = content
        self._name = name
        self._at = 0
        try:
            self._pages = find_pages(file) if content.image_format == "TIFF" else TiffPages()
            file.seek(0)
            self._image = self._open()
            frames = int(getattr(self._image, "n_frames", 1)) if content.kind == "animation" else 1
        except FastsamError:
            file.close()
            raise
        except Exception as error:
            file.close()
            raise self._broken(error) from error
        # The picture for viewers that know no animation may be none of its frames.
        self._first = int(bool(getattr(self._image, "default_image", False)) and frames > 1)
        self.whole = self._pages.whole and (frames == 1 or _reaches_end(file, content.image_format))
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
        """Decode a picture; one after the other is fastest.

        Args:
            number: Which, from 0.

        Returns:
            Turned upright: (H, W) grey or (H, W, 3) BGR, uint8 or uint16.

        Raises:
            PictureSizeError: It declares more than `MAX_PIXELS`.
            SourceUnreadableError: It is broken or cut short, or its channels have neither 8 nor 16 bits.
        """
        try:
            place = self._pages.numbers[number] if self._pages.numbers else number + self._first
            if place != self._at:
                self._image.seek(place)
                self._at = place
            check_size(self._name, *self._image.size)
            return self._decode(number)
        except FastsamError:
            raise
        except Exception as error:
            raise self._broken(error) from error

    def check_end(self) -> None:
        """Make sure that no further pages of a TIFF are lost.

        Raises:
            SourceUnreadableError: The list of pages breaks off.
        """
        if not self._pages.whole:
            found = f"{self.count} page{'s' if self.count > 1 else ''}"
            raise SourceUnreadableError(self._name, f"expected the end of its list of pages, found {found}")

    @property
    def duration_s(self) -> float:
        """How long the frame that was read last is shown, seconds; too short ones are 0.1, as browsers have it."""
        duration_ms = float(self._image.info.get("duration", 0) or 0)
        return duration_ms / 1e3 if duration_ms > 10 else 0.1

    def _open(self) -> Any:
        module, reader = _READERS[self._content.image_format or ""]
        try:
            opener = getattr(importlib.import_module(module), reader)
        except ImportError as error:
            if self._content.image_format != "HEIF":
                raise
            raise PackagesMissingError(["pillow-heif, which reads HEIC,"], "heic") from error
        try:
            return opener(self._file)
        except SyntaxError as error:  # Pillow's word for another layout than it knows
            depth = self._pages.read_depth(self._file) if self._pages.offsets else ""
            if depth in {"", "uint8", "uint16"}:
                raise
            raise self._deep(depth) from error

    def _decode(self, number: int) -> NDArray[Any]:
        image, form = self._image, self._content.image_format
        if self._has_deep_colour():
            picture = self._decode_by_opencv(number)
            if picture is not None:
                return picture
        image.load()
        mode = str(image.mode)
        if mode == "F" or (mode == "I" and form != "PPM"):
            raise self._deep("float32" if mode == "F" else "int32")
        if mode.startswith("I"):
            return self._upright(np.asarray(image).astype(np.uint16))
        if mode in {"1", "L", "LA", "La"}:
            return self._upright(np.asarray(image.convert("L")))
        if mode == "RGBa":
            image = image.convert("RGBA")
        return self._upright(cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR))

    def _upright(self, picture: NDArray[Any]) -> NDArray[Any]:
        if self._content.image_format in _TURNED:
            return picture
        return turn_upright(picture, read_orientation(self._image.info.get("exif", b"")))

    def _has_deep_colour(self) -> bool:
        """Whether it has colours of 16 bits, of which Pillow would give the upper 8, not rounded."""
        if self._content.image_format == "PPM":
            return bool(self._image.mode == "RGB" and self._image.tile[0].args == ("RGB", 65535))
        if self._content.image_format != "TIFF" or self._image.mode not in {"RGB", "RGBA", "RGBX"}:
            return False
        return bool(max(self._image.tag_v2.get(_BITS, (8,))) == 16)

    def _decode_by_opencv(self, number: int) -> NDArray[Any] | None:
        """A picture through OpenCV; None where it can't. Of a TIFF, the page is made the first one."""
        data = np.frombuffer(_own_copy(self._file), np.uint8)
        if self._pages.offsets:
            self._pages.begin_with(number, data)
        try:
            return cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        except cv2.error:
            return None

    def _deep(self, found: str) -> SourceUnreadableError:
        return SourceUnreadableError(self._name, f"expected an image of 8 or 16 bits a channel, found {found}")

    def _broken(self, error: Exception) -> SourceUnreadableError:
        found = f"{self._content.name} that is broken or cut short ({one_line(error)})"
        return SourceUnreadableError(self._name, f"expected an image, found {found}")


def _own_copy(file: BinaryIO) -> mmap.mmap | bytearray:
    """The bytes of a file, to be changed without changing it; of one on disk, only what is looked at is read."""
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError):
        file.seek(0)
        return bytearray(file.read())


def _reaches_end(file: BinaryIO, image_format: str | None) -> bool:
    """Whether an animation's file has its end. Of a GIF or PNG Pillow counts the frames that are there."""
    at = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL_B, 0))
    tail = file.read()
    file.seek(at)
    if image_format == "GIF":
        return tail.rstrip(b"\0\r\n ").endswith(b";")
    return image_format != "PNG" or b"IEND" in tail


def check_size(name: str, width: int, height: int) -> None:
    """Refuse a picture that is too large to decode.

    Raises:
        PictureSizeError: It declares more than `MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise PictureSizeError(name, MAX_PIXELS, width, height)


def turn_upright(picture: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn a picture as its EXIF orientation, 1 to 8, asks for: EXIF 3.0, tag 274."""
    if orientation in {5, 6, 7, 8}:
        picture = cv2.transpose(picture)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return picture if flip is None else cv2.flip(picture, flip)
