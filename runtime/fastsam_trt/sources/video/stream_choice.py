"""Choose the video stream of a container, and describe containers without one."""

from __future__ import annotations

import re
from typing import Any, BinaryIO, cast

from av.container.input import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

_HEAD = 1 << 20
_NAMES = (
    re.compile(rb"stsd.{12}([ -~]{4})", re.DOTALL),  # MP4 and QuickTime: the sample entry
    re.compile(rb"(V_[A-Z0-9_/]+)"),  # Matroska: CodecID
    re.compile(rb"strh.{4}vids([ -~]{4})", re.DOTALL),  # AVI: fccHandler
)
_STILL_IMAGES = Disposition.attached_pic | Disposition.timed_thumbnails


def choose_video(container: InputContainer) -> VideoStream | None:
    """The best video stream by FFmpeg's rules, preferably a decodable one; None if there are only cover images."""
    streams = container.streams
    videos = [stream for stream in streams.video if not stream.disposition & _STILL_IMAGES]
    videos = [stream for stream in videos if has_decoder(stream)] or videos
    best = streams.best("video")
    return next((stream for stream in videos if best is not None and stream.index == best.index), None) or max(
        videos,
        key=lambda stream: (bool(stream.disposition & Disposition.default), stream.width * stream.height),
        default=None,
    )


def has_decoder(stream: Stream) -> bool:
    """Whether FFmpeg can decode a stream."""
    return cast("Any", stream.codec_context) is not None


def describe_streams(container: InputContainer) -> str:
    """The content of a container without a video stream."""
    streams = container.streams
    if streams.video:
        return f"a cover image and {', '.join(map(_codec, streams.audio)) or 'nothing else'}"
    return ", ".join(f"{stream.type} ({_codec(stream)})" for stream in streams) or "no streams"


def _codec(stream: Stream) -> str:
    return stream.codec_context.name if has_decoder(stream) else "an unknown codec"


def name_codec(file: BinaryIO) -> str:
    """The codec of a file's first stream, by the name in the file; `unknown` if it isn't found.

    PyAV gives no information about streams that FFmpeg has no decoder for.

    Args:
        file: The file; its position is changed.
    """
    size = file.seek(0, 2)
    for at in (0, max(size - _HEAD, 0)):  # the index of an MP4 is at its start or end
        file.seek(at)
        data = file.read(_HEAD)
        codec = next((match for pattern in _NAMES if (match := pattern.search(data))), None)
        if codec:
            return repr(codec[1].decode("ascii"))
    return "unknown"
