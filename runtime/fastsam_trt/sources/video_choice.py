"""Which of a container's streams is the video to show."""

from __future__ import annotations

from typing import Any, cast

from av.container.input import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails


def choose_video(container: InputContainer) -> VideoStream | None:
    """The best video by FFmpeg's rules, one that can be decoded where there is one; None: none but cover pictures."""
    streams = container.streams
    videos = [each for each in streams.video if not each.disposition & _PICTURES]
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
        return f"a cover picture beside {', '.join(map(_codec, streams.audio)) or 'nothing'}"
    return ", ".join(f"{each.type} ({_codec(each)})" for each in streams) or "no stream"


def _codec(stream: Stream) -> str:
    return stream.codec_context.name if has_decoder(stream) else "an unknown codec"
