"""LastPackets: the packets that a decoder's threads may still hold, to decode them once more."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import cast

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

_HELD = 48  # by 16 threads, and what waits for its turn to be shown
_MOST = 300
_MOST_BYTES = 64 << 20


class LastPackets:
    """The last packets, from a key frame on, as long as they are few.

    PyAV gives up a decoder at the first error once its input has ended, with the frames that its threads still hold.
    A second decoder with one thread, which reports errors packet by packet, has them.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._packets: list[Packet[VideoStream]] = []
        self._bytes = 0

    def add(self, packet: Packet[VideoStream]) -> None:
        """Keep a packet, and let go of those that no thread holds any more; of all where they become too many."""
        self._packets.append(packet)
        self._bytes += packet.size
        if packet.is_keyframe:
            keys = [number for number, each in enumerate(self._packets[:-_HELD]) if each.is_keyframe]
            del self._packets[: keys[-1] if keys else 0]
            self._bytes = sum(each.size for each in self._packets)
        if len(self._packets) > _MOST or self._bytes > _MOST_BYTES:
            self._packets, self._bytes = [], 0

    def decode(self) -> Iterator[VideoFrame]:
        """Decode them, up to the end of the stream."""
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
