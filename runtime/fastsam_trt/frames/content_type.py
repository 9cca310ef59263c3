"""Content: what a file holds, as its first bytes tell; its name is not looked at."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HEAD_B = 4096
"""How many bytes of a file `sniff` wants to see."""

_LATE_B = 1 << 20  # how far into a PNG its pixels may begin, behind profiles and texts

ContentKind = Literal["picture", "animation", "video", "audio", "text", "other", "unknown", "empty"]


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds.

    Attributes:
        kind: `picture`; `animation` (a picture format that may hold frames with times); `video` (a container or a
            playlist, which FFmpeg reads); `audio`; `text`; `other`, which is known to be none of these; `unknown`;
            `empty`.
        name: For people, with its article: `a JPEG`, `a PDF`.
        picture_format: Pillow's name of the picture format; None where it is none that we read.
    """

    kind: ContentKind
    name: str
    picture_format: str | None = None


def sniff(data: bytes) -> Content:
    """Tell what a file holds.

    Args:
        data: Its first bytes, or all of them. `HEAD_B` suffice, save for an animated PNG with long texts in front.
    """
    if not data:
        return Content("empty", "an empty file")
    head = data[: HEAD_B + _LATE_B] if data.startswith(_PNG) else data[:HEAD_B]
    for start, content in _MAGICS:
        if head.startswith(start):
            return content(head) if callable(content) else content
    if head[4:8] in _BOXES:
        return _iso_media(head)
    if re.match(rb"P[1-6](?:\s|#)[\s#]*\S", head) and re.match(rb"P[1-6]\s*(?:#[^\n]*\n\s*)*\d", head):
        return _picture("PPM", "a PNM")
    if head.startswith(b"BM") and len(head) > 18 and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return _picture("BMP")
    for packet_b, first in ((188, 0), (192, 4), (204, 0)):
        syncs = head[first : first + 5 * packet_b : packet_b]
        if len(head) > first + packet_b and len(syncs) > 1 and not syncs.strip(b"\x47"):
            return Content("video", "an MPEG transport stream")
    if head[128:132] == b"DICM":
        return Content("other", "a DICOM file")
    if re.match(rb"\xff[\xf0-\xff]", head) and head[1] & 0x06 != 0x06 and (head[1] & 0x06 or head[1] & 0xF6 == 0xF0):
        return Content("audio", "audio (MP3 or AAC)")
    return _text(head)


def sniff_file(path: Path) -> Content:
    """Tell what a file on disk holds.

    Raises:
        OSError: It can't be read.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_B)
        if head.startswith(_PNG) and b"IDAT" not in head:
            head += file.read(_LATE_B)
    return sniff(head)


def _picture(form: str, name: str = "") -> Content:
    return Content("picture", name or f"a {form}", form)


def _png(head: bytes) -> Content:
    control = head.find(b"acTL", 0, max(head.find(b"IDAT"), 0) or len(head))
    frames = int.from_bytes(head[control + 4 : control + 8], "big") if control > 0 else 1
    return Content("animation", "an animated PNG", "PNG") if frames > 1 else _picture("PNG")


def _riff(head: bytes) -> Content:
    form = head[8:12]
    if form == b"WEBP":
        moving = head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 2)
        return Content("animation", "an animated WebP", "WEBP") if moving else _picture("WEBP", "a WebP")
    if form in (b"AVI ", b"AVIX", b"AMV "):
        return Content("video", "an AVI video")
    if form == b"WAVE":
        return Content("audio", "audio (WAV)")
    return Content("unknown", "a RIFF file that is no video or image")


def _iso_media(head: bytes) -> Content:
    """Of ISO base media: the brands tell pictures from videos."""
    if head[4:8] != b"ftyp":
        return Content("video", "a QuickTime video")
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    major = head[8:12]
    if major == b"avis":
        return Content("animation", "an animated AVIF", "AVIF")
    if major == b"avif" or (major in _PICTURE_BRANDS and b"avif" in brands):
        return _picture("AVIF", "an AVIF")
    if major in _PICTURE_BRANDS:
        return _picture("HEIF", "a HEIC")
    if major == b"crx ":
        return Content("other", "a camera's raw file (CR3)")
    if major in (b"M4A ", b"M4B ", b"M4P "):
        return Content("audio", "audio (M4A)")
    return Content("video", "an MP4 video")


def _ogg(head: bytes) -> Content:
    moving = any(codec in head for codec in (b"theora", b"video", b"OVP80", b"BBCD", b"daala"))
    sounding = any(codec in head for codec in (b"\x01vorbis", b"OpusHead", b"fLaC", b"Speex"))
    return Content("audio", "audio (Ogg)") if sounding and not moving else Content("video", "an Ogg video")


def _tiff(head: bytes) -> Content:
    return Content("other", "a camera's raw file (CR2)") if head[8:10] == b"CR" else _picture("TIFF")


def _text(head: bytes) -> Content:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Content("text", "text")
    # The end of a character may be cut off; of what is below a space, a text has these only.
    if b"\0" in head or re.search(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]", head):
        return Content("unknown", "a file of an unknown kind")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1024].lower()
    if start.startswith((b"#extm3u", b"ffconcat version", b"v=0\r\n", b"v=0\n")) or b"<mpd" in start:
        return Content("video", "a playlist")
    for mark, name in _TEXTS:
        if mark in start:
            return Content("text", name)
    return Content("text", "text")


_PNG = b"\x89PNG\r\n\x1a\n"
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"pnot", b"moof", b"styp", b"sidx"})
_PICTURE_BRANDS = frozenset({b"mif1", b"mif2", b"msf1", b"miaf", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx",
                             b"avci", b"MiHB", b"MiHA", b"MiHE"})  # fmt: skip
_TEXTS = ((b"<svg", "an SVG"), (b"<!doctype html", "an HTML page"), (b"<html", "an HTML page"), (b"<?xml", "XML"))

_MAGICS: tuple[tuple[bytes, Content | Callable[[bytes], Content]], ...] = (
    (b"\xff\xd8\xff", _picture("JPEG")),
    (_PNG, _png),
    (b"RIFF", _riff),
    (b"GIF87a", Content("animation", "a GIF", "GIF")),
    (b"GIF89a", Content("animation", "a GIF", "GIF")),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"II+\0", _tiff),
    (b"MM\0+", _tiff),
    (b"\0\0\0\x0cjP  \r\n\x87\n", _picture("JPEG2000", "a JPEG 2000")),
    (b"\xffO\xffQ", _picture("JPEG2000", "a JPEG 2000")),
    (b"\xff\x0a", Content("other", "a JPEG XL")),
    (b"\0\0\0\x0cJXL ", Content("other", "a JPEG XL")),
    (b"8BPS", Content("other", "a Photoshop file")),
    (b"\0\0\1\0", Content("other", "a Windows icon")),
    (b"#?RADIANCE", Content("other", "a picture of float32 (Radiance HDR)")),
    (b"#?RGBE", Content("other", "a picture of float32 (Radiance HDR)")),
    (b"v/1\x01", Content("other", "a picture of floats (OpenEXR)")),
    (b"PF\n", Content("other", "a picture of float32 (PFM)")),
    (b"Pf\n", Content("other", "a picture of float32 (PFM)")),
    (b"P7\n", Content("other", "a PAM")),
    (b"qoif", Content("other", "a QOI")),
    (b"DDS ", Content("other", "a DDS texture")),
    (b"SIMPLE  =", Content("other", "a FITS file")),
    (b"FUJIFILMCCD-RAW", Content("other", "a camera's raw file (RAF)")),
    (b"IIU\0", Content("other", "a camera's raw file (RW2)")),
    (b"IIRO", Content("other", "a camera's raw file (ORF)")),
    (b"%PDF", Content("other", "a PDF")),
    (b"%!PS", Content("other", "a PostScript file")),
    (b"PK\3\4", Content("other", "a ZIP archive")),
    (b"PK\5\6", Content("other", "a ZIP archive")),
    (b"\x1f\x8b", Content("other", "a gzip archive")),
    (b"BZh", Content("other", "a bzip2 archive")),
    (b"\xfd7zXZ\0", Content("other", "an xz archive")),
    (b"7z\xbc\xaf'\x1c", Content("other", "a 7z archive")),
    (b"Rar!\x1a\7", Content("other", "a RAR archive")),
    (b"\x7fELF", Content("other", "a program")),
    (b"SQLite format 3\0", Content("other", "an SQLite database")),
    (b"\x93NUMPY", Content("other", "a NumPy array")),
    (b"\x1aE\xdf\xa3", Content("video", "a Matroska or WebM video")),
    (b"0&\xb2u\x8ef\xcf\x11", Content("video", "a Windows Media video")),
    (b"FLV\1", Content("video", "a Flash video")),
    (b"\0\0\1\xba", Content("video", "an MPEG program stream")),
    (b"\0\0\1\xb3", Content("video", "an MPEG video stream")),
    (b"\0\0\0\1", Content("video", "a raw H.264 or H.265 stream")),
    (b"\0\0\1\x67", Content("video", "a raw H.264 stream")),
    (b"OggS", _ogg),
    (b".RMF", Content("video", "a RealMedia video")),
    (b"\x06\x0e+4\2\5\1\1", Content("video", "an MXF video")),
    (b"YUV4MPEG2 ", Content("video", "a YUV4MPEG video")),
    (b"\x1f\7\0", Content("video", "a DV video")),
    (b"DKIF", Content("video", "an IVF video")),
    (b"nut/multimedia container\0", Content("video", "a NUT video")),
    (b"ID3", Content("audio", "audio (MP3)")),
    (b"fLaC", Content("audio", "audio (FLAC)")),
    (b"FORM", Content("audio", "audio (AIFF)")),
    (b"#!AMR", Content("audio", "audio (AMR)")),
    (b".snd", Content("audio", "audio (AU)")),
)
