"""LastPackets: the packets from the last key frame on, to decode them once more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

_MOST = 300
_MOST_BYTES = 64 << 20


class LastPackets:
    """The packets from the last key frame on, as long as they are few.

    PyAV gives up a decoder at the first error once its input has ended, with the frames that its threads still hold.
    A second decoder with one thread, which reports errors packet by packet, has them.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._packets: list[Packet[VideoStream]] = []
        self._bytes = 0

    def add(self, packet: Packet[VideoStream]) -> None:
        """Keep a packet, or let go of all where it begins anew or they become too many."""
        if packet.is_keyframe:
            self._packets.clear()
            self._bytes = 0
        elif not self._packets:
            return
        self._packets.append(packet)
        self._bytes += packet.size
        if len(self._packets) > _MOST or self._bytes > _MOST_BYTES:
            self._packets.clear()

    def decode(self) -> Iterator[VideoFrame]:
        """Decode them, from the key frame to the end of the stream."""
        if not self._packets:
            return
        context = cast("VideoCodecContext", VideoCodecContext.create(self._stream.codec_context.name, "r"))
        context.extradata = self._stream.codec_context.extradata
        context.thread_count = 1
        base = self._packets[0].time_base
        for packet in (*self._packets, None):
            try:
                frames = context.decode(packet)
            except av.error.FFmpegError:  # counted the first time
                continue
            for frame in frames:
                frame.time_base = base
                yield frame
