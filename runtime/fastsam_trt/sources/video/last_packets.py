"""LastPackets: keep the latest packets of a stream, to decode them again after an error at its end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import cast

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

_HELD = 48  # by 16 threads, and for reordering
_MOST = 300
_MOST_BYTES = 64 << 20


class LastPackets:
    """The latest packets of a stream from a key frame on, up to a limit.

    After the end of its input, PyAV closes a decoder at the first error, and the frames that its threads still hold are
    lost. A second, single-threaded decoder reports errors packet by packet and recovers those frames.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._packets: list[Packet[VideoStream]] = []
        self._bytes = 0

    def add(self, packet: Packet[VideoStream]) -> None:
        """Add a packet, and drop those that no thread holds any more; drop all of them beyond the limit."""
        self._packets.append(packet)
        self._bytes += packet.size
        if packet.is_keyframe:
            keys = [index for index, held in enumerate(self._packets[:-_HELD]) if held.is_keyframe]
            del self._packets[: keys[-1] if keys else 0]
            self._bytes = sum(held.size for held in self._packets)
        if len(self._packets) > _MOST or self._bytes > _MOST_BYTES:
            self._packets, self._bytes = [], 0

    def decode(self) -> Iterator[VideoFrame]:
        """Decode the packets, up to the end of the stream."""
        packets = list(itertools.dropwhile(lambda packet: not packet.is_keyframe, self._packets))
        if not packets:
            return
        context = cast("VideoCodecContext", VideoCodecContext.create(self._stream.codec_context.name, "r"))
        context.extradata = self._stream.codec_context.extradata
        context.thread_count = 1
        base = packets[0].time_base
        for packet in (*packets, None):
            try:
                frames = context.decode(packet)
            except av.error.FFmpegError:  # counted the first time
                continue
            for frame in frames:
                frame.time_base = base
                yield frame
