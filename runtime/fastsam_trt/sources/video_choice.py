"""Which of a container's streams is the video to show."""

from __future__ import annotations

from typing import Any, cast

from av.container.input import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails


def choose_video(container: InputContainer) -> VideoStream:
    """The best video by FFmpeg's rules, cover pictures left out.

    Raises:
        LookupError: There is none that can be decoded. Its text says what was expected and found.
    """
    streams = container.streams
    videos = [each for each in streams.video if not each.disposition & _PICTURES]
    if not videos:
        found = ", ".join(f"{each.type} ({_codec(each)})" for each in streams) or "no stream"
        if streams.video:
            found = f"a cover picture beside {', '.join(_codec(each) for each in streams.audio) or 'nothing'}"
        raise LookupError(f"expected a video or image, found {found}")
    best = streams.best("video")
    chosen = next((each for each in videos if best is not None and each.index == best.index), None) or max(
        videos, key=lambda each: (bool(each.disposition & Disposition.default), each.width * each.height)
    )
    if chosen.codec_tag in {"encv", "drmi"}:
        raise LookupError("expected a video that is open, found an encrypted one")
    if cast("Any", chosen.codec_context) is None:
        raise LookupError(f"expected a codec that FFmpeg decodes, found a video of the codec {_codec(chosen)}")
    return chosen


def _codec(stream: Stream) -> str:
    if cast("Any", stream.codec_context) is not None:
        return stream.codec_context.name
    return repr(stream.codec_tag.replace("\x00", "").strip() or "unknown")
