"""Detect the type of a file by its first bytes; its name is ignored."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HEAD_B = 4096
"""How many bytes of a file `sniff` needs."""

_LATE_B = 1 << 20  # how far into a PNG its pixels may start, after profiles and texts

FileKind = Literal["image", "animation", "video", "audio", "text", "other", "unknown", "empty"]


@dataclass(frozen=True, slots=True)
class FileType:
    """The type of a file's content.

    Attributes:
        kind: `image`; `animation` (an image format that may hold frames with times); `video` (a container or a
            playlist, which FFmpeg reads); `audio`; `text`; `other`, a known format that is none of these; `unknown`;
            `empty`.
        name: For messages, with an article: `a JPEG`, `a PDF`.
        image_format: Pillow's name of the image format; None if the format is not supported.
    """

    kind: FileKind
    name: str
    image_format: str | None = None


def sniff(data: bytes) -> FileType:
    """Detect the type of a file.

    Args:
        data: Its first bytes, or all of them. `HEAD_B` are enough, except for an animated PNG with long texts first.
    """
    if not data:
        return FileType("empty", "an empty file")
    head = data[: HEAD_B + _LATE_B] if data.startswith(_PNG) else data[:HEAD_B]
    for start, content in _MAGICS:
        if head.startswith(start):
            return content(head) if callable(content) else content
    if head[4:8] in _BOXES:
        return _iso_media(head)
    if re.match(rb"P[1-6](?:\s|#)[\s#]*\S", head) and re.match(rb"P[1-6]\s*(?:#[^\n]*\n\s*)*\d", head):
        return _image("PPM", "a PNM")
    if head.startswith(b"BM") and len(head) > 18 and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return _image("BMP")
    for packet_b, first in ((188, 0), (192, 4), (204, 0)):
        syncs = head[first : first + 5 * packet_b : packet_b]
        if len(head) > first + packet_b and len(syncs) > 1 and not syncs.strip(b"\x47"):
            return FileType("video", "an MPEG transport stream")
    if head[128:132] == b"DICM":
        return FileType("other", "a DICOM file")
    if re.match(rb"\xff[\xf0-\xff]", head) and head[1] & 0x06 != 0x06 and (head[1] & 0x06 or head[1] & 0xF6 == 0xF0):
        return FileType("audio", "audio (MP3 or AAC)")
    return _text(head)


def sniff_file(path: Path) -> FileType:
    """Detect the type of a file on disk.

    Raises:
        OSError: It can't be read.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_B)
        if head.startswith(_PNG) and b"IDAT" not in head:
            head += file.read(_LATE_B)
    return sniff(head)


def _image(form: str, name: str = "") -> FileType:
    return FileType("image", name or f"a {form}", form)


def _png(head: bytes) -> FileType:
    control = head.find(b"acTL", 0, max(head.find(b"IDAT"), 0) or len(head))
    frames = int.from_bytes(head[control + 4 : control + 8], "big") if control > 0 else 1
    return FileType("animation", "an animated PNG", "PNG") if frames > 1 else _image("PNG")


def _riff(head: bytes) -> FileType:
    form = head[8:12]
    if form == b"WEBP":
        moving = head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 2)
        return FileType("animation", "an animated WebP", "WEBP") if moving else _image("WEBP", "a WebP")
    if form in (b"AVI ", b"AVIX", b"AMV "):
        return FileType("video", "an AVI video")
    if form == b"WAVE":
        return FileType("audio", "audio (WAV)")
    return FileType("unknown", "a RIFF file that is no video or image")


def _iso_media(head: bytes) -> FileType:
    """The type of an ISO base media file; its brands tell images from videos."""
    if head[4:8] != b"ftyp":
        return FileType("video", "a QuickTime video")
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    major = head[8:12]
    if major == b"avis":
        return FileType("animation", "an animated AVIF", "AVIF")
    if major == b"avif" or (major in _IMAGE_BRANDS and b"avif" in brands):
        return _image("AVIF", "an AVIF")
    if major in _IMAGE_BRANDS:
        return _image("HEIF", "a HEIC")
    if major == b"crx ":
        return FileType("other", "a camera's raw file (CR3)")
    if major in (b"M4A ", b"M4B ", b"M4P "):
        return FileType("audio", "audio (M4A)")
    return FileType("video", "an MP4 video")


def _ogg(head: bytes) -> FileType:
    moving = any(codec in head for codec in (b"theora", b"video", b"OVP80", b"BBCD", b"daala"))
    sounding = any(codec in head for codec in (b"\x01vorbis", b"OpusHead", b"fLaC", b"Speex"))
    return FileType("audio", "audio (Ogg)") if sounding and not moving else FileType("video", "an Ogg video")


def _tiff(head: bytes) -> FileType:
    return FileType("other", "a camera's raw file (CR2)") if head[8:10] == b"CR" else _image("TIFF")


def _text(head: bytes) -> FileType:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return FileType("text", "text")
    # The last character may be cut off. Of the control characters, a text has only those that are not listed here.
    if b"\0" in head or re.search(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]", head):
        return FileType("unknown", "a file of an unknown kind")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1024].lower()
    if start.startswith((b"#extm3u", b"ffconcat version", b"v=0\r\n", b"v=0\n")) or b"<mpd" in start:
        return FileType("video", "a playlist")
    for mark, name in _TEXTS:
        if mark in start:
            return FileType("text", name)
    return FileType("text", "text")


_PNG = b"\x89PNG\r\n\x1a\n"
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"pnot", b"moof", b"styp", b"sidx"})
_IMAGE_BRANDS = frozenset({b"mif1", b"mif2", b"msf1", b"miaf", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx",
                             b"avci", b"MiHB", b"MiHA", b"MiHE"})  # fmt: skip
_TEXTS = ((b"<svg", "an SVG"), (b"<!doctype html", "an HTML page"), (b"<html", "an HTML page"), (b"<?xml", "XML"))

_MAGICS: tuple[tuple[bytes, FileType | Callable[[bytes], FileType]], ...] = (
    (b"\xff\xd8\xff", _image("JPEG")),
    (_PNG, _png),
    (b"RIFF", _riff),
    (b"GIF87a", FileType("animation", "a GIF", "GIF")),
    (b"GIF89a", FileType("animation", "a GIF", "GIF")),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"II+\0", _tiff),
    (b"MM\0+", _tiff),
    (b"\0\0\0\x0cjP  \r\n\x87\n", _image("JPEG2000", "a JPEG 2000")),
    (b"\xffO\xffQ", _image("JPEG2000", "a JPEG 2000")),
    (b"\xff\x0a", FileType("other", "a JPEG XL")),
    (b"\0\0\0\x0cJXL ", FileType("other", "a JPEG XL")),
    (b"8BPS", FileType("other", "a Photoshop file")),
    (b"\0\0\1\0", FileType("other", "a Windows icon")),
    (b"#?RADIANCE", FileType("other", "an image of float32 (Radiance HDR)")),
    (b"#?RGBE", FileType("other", "an image of float32 (Radiance HDR)")),
    (b"v/1\x01", FileType("other", "an image of floats (OpenEXR)")),
    (b"PF\n", FileType("other", "an image of float32 (PFM)")),
    (b"Pf\n", FileType("other", "an image of float32 (PFM)")),
    (b"P7\n", FileType("other", "a PAM")),
    (b"qoif", FileType("other", "a QOI")),
    (b"DDS ", FileType("other", "a DDS texture")),
    (b"SIMPLE  =", FileType("other", "a FITS file")),
    (b"FUJIFILMCCD-RAW", FileType("other", "a camera's raw file (RAF)")),
    (b"IIU\0", FileType("other", "a camera's raw file (RW2)")),
    (b"IIRO", FileType("other", "a camera's raw file (ORF)")),
    (b"%PDF", FileType("other", "a PDF")),
    (b"%!PS", FileType("other", "a PostScript file")),
    (b"PK\3\4", FileType("other", "a ZIP archive")),
    (b"PK\5\6", FileType("other", "a ZIP archive")),
    (b"\x1f\x8b", FileType("other", "a gzip archive")),
    (b"BZh", FileType("other", "a bzip2 archive")),
    (b"\xfd7zXZ\0", FileType("other", "an xz archive")),
    (b"7z\xbc\xaf'\x1c", FileType("other", "a 7z archive")),
    (b"Rar!\x1a\7", FileType("other", "a RAR archive")),
    (b"\x7fELF", FileType("other", "a program")),
    (b"SQLite format 3\0", FileType("other", "an SQLite database")),
    (b"\x93NUMPY", FileType("other", "a NumPy array")),
    (b"\x1aE\xdf\xa3", FileType("video", "a Matroska or WebM video")),
    (b"0&\xb2u\x8ef\xcf\x11", FileType("video", "a Windows Media video")),
    (b"FLV\1", FileType("video", "a Flash video")),
    (b"\0\0\1\xba", FileType("video", "an MPEG program stream")),
    (b"\0\0\1\xb3", FileType("video", "an MPEG video stream")),
    (b"\0\0\0\1", FileType("video", "a raw H.264 or H.265 stream")),
    (b"\0\0\1\x67", FileType("video", "a raw H.264 stream")),
    (b"OggS", _ogg),
    (b".RMF", FileType("video", "a RealMedia video")),
    (b"\x06\x0e+4\2\5\1\1", FileType("video", "an MXF video")),
    (b"YUV4MPEG2 ", FileType("video", "a YUV4MPEG video")),
    (b"\x1f\7\0", FileType("video", "a DV video")),
    (b"DKIF", FileType("video", "an IVF video")),
    (b"nut/multimedia container\0", FileType("video", "a NUT video")),
    (b"ID3", FileType("audio", "audio (MP3)")),
    (b"fLaC", FileType("audio", "audio (FLAC)")),
    (b"FORM", FileType("audio", "audio (AIFF)")),
    (b"#!AMR", FileType("audio", "audio (AMR)")),
    (b".snd", FileType("audio", "audio (AU)")),
)
