"""The bytes of one still picture, out of what comes through a pipe or from an address."""

from __future__ import annotations

from fastsam_trt.errors import SourceUnreadableError
from fastsam_trt.frames.file_type import HEAD_B, FileType
from fastsam_trt.sources.pipe import Peekable

MOST_BYTES = 256 << 20
"""The largest picture that is read from a pipe or an address, bytes as it is stored."""

# Formats of which several pictures in a row make a video, as FFmpeg's image2pipe and mjpeg have them.
_IN_ROWS = {"JPEG": "mjpeg", "PNG": "png", "PPM": "ppm", "BMP": "bmp"}
_SEVERAL_IN_ONE = b"MPF\0"  # a JPEG whose further pictures belong to it: CIPA DC-007
_LATE_B = 1 << 16  # how far into a JPEG that may be said


def is_picture(content: FileType) -> bool:
    """Whether content is read as a picture; FFmpeg plays other animations than WebP."""
    return content.kind == "image" or content.image_format == "WEBP"


def read_picture_bytes(source: str, data: Peekable, content: FileType) -> bytes | None:
    """Read a picture to its end.

    Args:
        source: What the user called it.
        data: What comes.
        content: What `sniff` says of it: a picture.

    Returns:
        Its bytes; None where other pictures follow it, so that they are a video. Then nothing has been read.

    Raises:
        SourceUnreadableError: It goes on for more than `MOST_BYTES`.
    """
    codec = _IN_ROWS.get(content.image_format or "")
    if codec is not None and _SEVERAL_IN_ONE not in data.peek(HEAD_B)[:_LATE_B] and _is_followed(data, codec):
        return None
    whole = data.peek(MOST_BYTES + 1)
    if len(whole) > MOST_BYTES:
        found = f"{content.name} that goes on"
        raise SourceUnreadableError(source, f"expected a picture of at most {MOST_BYTES >> 20} MiB, found {found}")
    return whole


def _is_followed(data: Peekable, codec: str) -> bool:
    """Whether a second picture of the same format follows the first."""
    import av  # which is large, and not needed for pictures from disk

    parser = av.CodecContext.create(codec, "r")
    begin = data.peek(2)[:2]
    seen = end = 0
    while seen <= MOST_BYTES and (not end or seen < end + 2):
        new = data.peek(seen + 1, seen)
        if not new:
            return False
        if not end:
            end = sum(packet.size for packet in parser.parse(new)[:1])
        seen += len(new)
    return data.peek(end + 2, end)[:2] == begin
