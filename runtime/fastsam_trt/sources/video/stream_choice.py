"""Which of a container's streams is the video to show."""

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
    """The best video by FFmpeg's rules, one that can be decoded where there is one; None: none but cover images."""
    streams = container.streams
    videos = [each for each in streams.video if not each.disposition & _STILL_IMAGES]
    videos = [each for each in videos if has_decoder(each)] or videos
    best = streams.best("video")
    return next((each for each in videos if best is not None and each.index == best.index), None) or max(
        videos,
        key=lambda each: (bool(each.disposition & Disposition.default), each.width * each.height),
        default=None,
    )


def has_decoder(stream: Stream) -> bool:
    """Whether FFmpeg can decode a stream."""
    return cast("Any", stream.codec_context) is not None


def describe_streams(container: InputContainer) -> str:
    """What a container without a video holds."""
    streams = container.streams
    if streams.video:
        return f"a cover image beside {', '.join(map(_codec, streams.audio)) or 'nothing'}"
    return ", ".join(f"{each.type} ({_codec(each)})" for each in streams) or "no stream"


def _codec(stream: Stream) -> str:
    return stream.codec_context.name if has_decoder(stream) else "an unknown codec"


def name_codec(file: BinaryIO) -> str:
    """What a file calls the codec of its first stream; `unknown` where that isn't found.

    Args:
        file: The file; its position is changed.
    """
    size = file.seek(0, 2)
    for at in (0, max(size - _HEAD, 0)):  # an MP4's index is at one of its ends
        file.seek(at)
        data = file.read(_HEAD)
        found = next((match for pattern in _NAMES if (match := pattern.search(data))), None)
        if found:
            return repr(found[1].decode("ascii"))
    return "unknown"
