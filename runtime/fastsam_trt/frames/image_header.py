"""Read the header of a JPEG, PNG, WebP or BMP without decoding it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

_ORIENTATION = 0x0112
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the header of an image declares.

    Attributes:
        width, height: Size as stored, before the image is turned upright, px.
        orientation: EXIF orientation, 1 to 8; 1 is upright.
        whole: Whether the file has its end marker; otherwise it is truncated.
        scans: Number of scans of a JPEG, those of embedded images included. A decoder goes through the whole image for
            each, however few bytes it has.
    """

    width: int
    height: int
    orientation: int
    whole: bool
    scans: int = 1


def read_header(data: bytes, image_format: str) -> ImageHeader | None:
    """Read the header of an image; None if it is broken, or of another format.

    Args:
        data: The whole file.
        image_format: `JPEG`, `PNG`, `WEBP` or `BMP`; no other format is supported here.
    """
    reader = _READERS.get(image_format)
    try:
        return None if reader is None else reader(data)
    except (struct.error, IndexError):
        return None


def read_orientation(exif: bytes) -> int:
    """The orientation in an EXIF block, 1 to 8; 1 if there is none or the block is broken."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if tag == _ORIENTATION:
                (value,) = struct.unpack_from(f"{order}{'I' if kind == 4 else 'H'}", tiff, entry + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _read_jpeg(data: bytes) -> ImageHeader | None:
    """ITU T.81, B.1 and B.2: segments up to the first scan."""
    at, orientation, size = 2, None, None
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # stray bytes between segments; decoders skip them
            at += 1
            continue
        marker = data[at + 1]
        if marker in {0xFF, 0x00, 0x01} or 0xD0 <= marker <= 0xD8:  # fill bytes, and markers without a length
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker == 0xDA:
            whole = data.rfind(b"\xff\xd9", at) > 0
            scans = data.count(b"\xff\xda")  # in the data of a scan, 0xFF is followed by 0 or the marker of a restart
            return None if size is None else ImageHeader(size[1], size[0], orientation or 1, whole, scans)
        if marker in _FRAME_MARKERS and size is None:
            size = struct.unpack_from(">HH", data, at + 5)
            if 0 in size:  # the height follows the scan
                return None
        elif marker == 0xE1 and orientation is None and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = read_orientation(data[at + 4 : at + 2 + length])
        at += 2 + length
    return None


def _read_png(data: bytes) -> ImageHeader | None:
    width, height = struct.unpack_from(">II", data, 16)
    at, orientation = 8, 1
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        name = data[at + 4 : at + 8]
        if name == b"eXIf":
            orientation = read_orientation(data[at + 8 : at + 8 + length])
        at += 12 + length
        if name == b"IEND":
            return ImageHeader(width, height, orientation, whole=at <= len(data))
    return ImageHeader(width, height, orientation, whole=False)


def _read_webp(data: bytes) -> ImageHeader | None:
    (riff_b,) = struct.unpack_from("<I", data, 4)
    at, orientation, size = 12, 1, None
    while at + 8 <= len(data):
        name, (length,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        if name == b"VP8X":
            size = tuple(int.from_bytes(data[at + first : at + first + 3], "little") + 1 for first in (12, 15))
        elif name == b"VP8L" and size is None:
            (bits,) = struct.unpack_from("<I", data, at + 9)
            size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        elif name == b"VP8 " and size is None:
            size = tuple(side & 0x3FFF for side in struct.unpack_from("<HH", data, at + 14))
        elif name == b"EXIF":
            orientation = read_orientation(data[at + 8 : at + 8 + length])
        at += 8 + length + (length & 1)
    if size is None:
        return None
    return ImageHeader(size[0], size[1], orientation, whole=len(data) >= riff_b + 8)


def _read_bmp(data: bytes) -> ImageHeader | None:
    pixels_at, head_b = struct.unpack_from("<II", data, 10)
    if head_b == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        packing = 0
    else:
        width, height, _, bits, packing = struct.unpack_from("<iiHHI", data, 18)
    # A negative height means that rows go from top to bottom. Other packings are compressed.
    if width <= 0 or not height or packing not in {0, 3, 6}:
        return None
    row_b = (width * bits + 31) // 32 * 4
    return ImageHeader(width, abs(height), 1, whole=pixels_at + row_b * abs(height) <= len(data))


_READERS: dict[str, Callable[[bytes], ImageHeader | None]] = {
    "JPEG": _read_jpeg,
    "PNG": _read_png,
    "WEBP": _read_webp,
    "BMP": _read_bmp,
}
