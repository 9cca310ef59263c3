"""Detect truncated video files, by the sizes that their containers store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from av.video.stream import VideoStream

_LAST_SAMPLES = 4096
_BOXES = frozenset({b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"sidx", b"mfra", b"uuid",
                    b"meta", b"pdin", b"emsg", b"prft", b"udta", b"pnot"})  # fmt: skip
_SEGMENT, _CLUSTER = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"
_LEVEL_1 = frozenset({_CLUSTER, b"\x11\x4d\x9b\x74", b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b", b"\x1c\x53\xbb\x6b",
                      b"\x10\x43\xa7\x70", b"\x12\x54\xc3\x67", b"\x19\x41\xa4\x69", b"\xec", b"\xbf"})  # fmt: skip
_IN_CLUSTER = frozenset({b"\xe7", b"\xa3", b"\xa0", b"\xab", b"\xa7", b"\xec", b"\xbf", b"\x58\x54"})
_TS_PACKET = 188


def breaks_off(file: BinaryIO, size: int, container: str, stream: VideoStream) -> bool:
    """Whether a container continues beyond the end of its file.

    MP4 is checked by its boxes and the samples of its index, Matroska by its elements, AVI by its chunks, MPEG-TS for
    complete packets. Other containers do not store sizes.

    Args:
        file: The file; its position is changed.
        size: Size of the file, bytes.
        container: FFmpeg's name of the container.
        stream: The video stream.
    """
    if "mp4" in container:
        entries = stream.index_entries
        last = entries[max(len(entries) - _LAST_SAMPLES, 0) :]
        return any(entry.pos + entry.size > size for entry in last) or any(end > size for _, end in _boxes(file, size))
    if "matroska" in container:
        return _matroska_breaks_off(file, size)
    if container == "avi":
        return any(end > size for _, end in _riffs(file, size))
    if container == "mpegts":
        rest = size % _TS_PACKET
        return rest != 0 and all(_read(file, at, 1) == b"G" for at in (0, _TS_PACKET, size - rest))
    return False


def lacks_index(file: BinaryIO) -> bool:
    """Whether a file is an MP4 or QuickTime file without a complete index (`moov`)."""
    size = file.seek(0, 2)
    boxes = dict(_boxes(file, size))
    return bool(boxes.keys() & {b"ftyp", b"mdat"}) and boxes.get(b"moov", size + 1) > size


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """Top-level boxes and their ends by their own sizes (ISO/IEC 14496-12, 4.2), up to the first invalid one."""
    at = 0
    while at + 8 <= size:
        head = _read(file, at, 16)
        length, kind = int.from_bytes(head[:4]), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16])
        if kind not in _BOXES or 0 < length < 8:
            return
        if length == 0:  # up to the end
            yield kind, size
            return
        yield kind, at + length
        at += length


def _riffs(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """The RIFF chunks of an AVI file and their ends by their own sizes, up to the first without a size."""
    at = 0
    while at + 12 <= size:
        head = _read(file, at, 12)
        length = int.from_bytes(head[4:8], "little")
        if head[:4] != b"RIFF" or head[8:] not in {b"AVI ", b"AVIX"} or length in {0, 2**32 - 1}:
            return
        yield head[8:], at + 8 + length
        at += 8 + length + length % 2


def _matroska_breaks_off(file: BinaryIO, size: int) -> bool:
    """Whether the last element (RFC 8794 and 9559) ends beyond the file. Descends into segments and open clusters."""
    at = 0
    while at < size:
        element = _element(file, at)
        if element is None:
            return False
        identity, begin, length = element
        if at == 0 and identity != b"\x1a\x45\xdf\xa3":
            return False
        if identity in {_SEGMENT, _CLUSTER} and length is None:
            at = begin
            continue
        if length is None or (at and identity != _SEGMENT and identity not in _LEVEL_1 | _IN_CLUSTER):
            return False
        if begin + length > size:
            return True
        at = begin + length
    return False


def _element(file: BinaryIO, at: int) -> tuple[bytes, int, int | None] | None:
    """The id of an element, the start of its content, and its length (None if unknown); None if there is no element."""
    head = _read(file, at, 12)
    if not head or not head[0] or head[0] < 0x10:
        return None
    id_bytes = 9 - head[0].bit_length()
    rest = head[id_bytes:]
    if not rest or not rest[0]:
        return None
    size_bytes = 9 - rest[0].bit_length()
    if len(rest) < size_bytes:
        return None
    bits = 7 * size_bytes
    length = int.from_bytes(rest[:size_bytes]) & ((1 << bits) - 1)
    return head[:id_bytes], at + id_bytes + size_bytes, None if length == (1 << bits) - 1 else length


def _read(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)
