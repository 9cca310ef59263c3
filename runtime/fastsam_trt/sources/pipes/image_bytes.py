"""Read the bytes of one still image from a pipe or an HTTP response."""

from __future__ import annotations

from fastsam_trt.errors import SourceUnreadableError
from fastsam_trt.frames.file_type import HEAD_B, FileType
from fastsam_trt.sources.pipes.pipe import PeekableStream

MOST_BYTES = 256 << 20
"""Size limit of an image that is read from a pipe or an address, bytes of the encoded image."""

# Formats of which a sequence of images is a video, as in FFmpeg's image2pipe and mjpeg: format to codec.
_SEQUENCES = {"JPEG": "mjpeg", "PNG": "png", "PPM": "ppm", "BMP": "bmp"}
_MULTI_PICTURE = b"MPF\0"  # marks a JPEG that contains several images: CIPA DC-007
_MARKER_B = 1 << 16  # the marker is within the first bytes of a JPEG


def is_image(content: FileType) -> bool:
    """Whether content is read as an image. WebP is, even if animated; FFmpeg decodes other animations as videos."""
    return content.kind == "image" or content.image_format == "WEBP"


def read_image_bytes(source: str, data: PeekableStream, content: FileType) -> bytes | None:
    """Read an image to its end.

    Args:
        source: Name of the source, as given by the user.
        data: The stream to read.
        content: The type of the stream, an image, as `sniff` returns it.

    Returns:
        The bytes of the image; None if other images follow it, which makes them a video. Then nothing is consumed.

    Raises:
        SourceUnreadableError: The image is larger than `MOST_BYTES`.
    """
    codec = _SEQUENCES.get(content.image_format or "")
    if codec is not None and _MULTI_PICTURE not in data.peek(HEAD_B)[:_MARKER_B] and _is_followed(data, codec):
        return None
    whole = data.peek(MOST_BYTES + 1)
    if len(whole) > MOST_BYTES:
        found = f"{content.name} that is larger"
        raise SourceUnreadableError(source, f"expected an image of at most {MOST_BYTES >> 20} MiB, found {found}")
    return whole


def _is_followed(data: PeekableStream, codec: str) -> bool:
    """Whether another image of the same format follows the first."""
    import av  # large, and not needed for images from disk

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
