"""Decoder: decode the packets of a video stream, skipping and counting damage."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import cast

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from fastsam_trt.sources.health import SourceHealth
from fastsam_trt.sources.video.last_packets import LastPackets
from fastsam_trt.sources.video.lost_frames import LostFrames


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A decoded frame.

    Attributes:
        frame: The frame, as the decoder outputs it.
        index: Number of the frame in the stream, from 0, including frames that were lost to damage.
        time_s: Presentation timestamp by the stream's clock, s; None if it has none.
        duration_s: Duration according to the container, s; None if unknown.
    """

    frame: VideoFrame
    index: int
    time_s: float | None
    duration_s: float | None = None


class Decoder:
    """Decodes one video stream. Damage is skipped and counted.

    Frames that the decoder has repaired are output. `LostFrames` defines which frames count as lost.
    """

    def __init__(self, stream: VideoStream, *, threads: int = 0) -> None:
        """Set up the decoder.

        Args:
            stream: A stream that FFmpeg has a decoder for, and of which nothing has been decoded yet.
            threads: Threads of the decoder; 0: one per core. With n threads, a frame comes out n packets later.
        """
        self._stream = stream
        self._context = stream.codec_context
        self._context.thread_type = "AUTO"
        self._context.thread_count = threads
        self._last = None if threads == 1 else LastPackets(stream)
        self._health = SourceHealth()
        self._index = 0
        self._expected = LostFrames(frame_rate(stream))
        self._times = _TimeChoice()
        self._lag_s: float | None = None

    @property
    def health(self) -> SourceHealth:
        """Damage so far."""
        return self._health

    def report_gap(self) -> None:
        """Note that packets may be missing before the next one, since bytes of the stream were skipped."""
        self._expected.report_gap()

    def report_error(self) -> None:
        """Count an error of the demuxer, after which packets may be missing."""
        self._count(stream_errors=1)
        self.report_gap()

    def decode(self, packet: Packet[VideoStream]) -> Iterator[Decoded]:
        """Decode a packet of the stream.

        Args:
            packet: A packet that is not empty: `flush` replaces the empty packets at a demuxer's end.

        Yields:
            The frames that it completes, in presentation order.

        Raises:
            MemoryError: There is not enough memory for the frames.
        """
        if packet.is_corrupt:
            self.report_error()
        if not packet.is_discard:
            pts_s, dts_s = (_seconds(ticks, packet.time_base) for ticks in (packet.pts, packet.dts))
            self._expected.add(dts_s if pts_s is None else pts_s, dts_s, key=packet.is_keyframe)
        if self._last is not None:
            self._last.add(packet)
        yield from self._take(self._frames(packet))

    def flush(self) -> Iterator[Decoded]:
        """Decode the frames that the decoder still holds, after the last packet."""
        end = cast("Packet[VideoStream]", Packet())
        end.stream = self._stream
        if self._stream.time_base is not None:
            end.time_base = self._stream.time_base
        yield from self._take(self._frames(end))
        if self._last is not None and self._expected.waits:
            frames = (frame for frame in self._last.decode() if self._is_next(frame))
            first = next(frames, None)
            if first is not None:
                self._report_failure()
                yield from self._take(itertools.chain([first], frames))
        self._lose(math.inf)

    def _is_next(self, frame: VideoFrame) -> bool:
        """Whether a frame comes after all frames so far."""
        time_s, given_s = _seconds(frame.pts, frame.time_base), self._expected.given_s
        return time_s is not None and (given_s is None or time_s > given_s)

    def _take(self, frames: Iterable[VideoFrame]) -> Iterator[Decoded]:
        for frame in frames:
            if frame.is_corrupt:
                self._count(damaged_frames=1)
            pts_s, dts_s = (_seconds(ticks, frame.time_base) for ticks in (frame.pts, frame.dts))
            time_s = self._times.choose(pts_s, dts_s)
            if self._lag_s is None:  # the decoding time of a frame is that of the packet that completed it
                begin_s = self._expected.begin_s
                by_dts = pts_s is None and time_s is not None and begin_s is not None
                self._lag_s = time_s - begin_s if by_dts and time_s is not None and begin_s is not None else 0.0
            if time_s is not None:
                time_s -= self._lag_s
                if not self._lose(time_s):
                    continue
            yield Decoded(frame, self._index, time_s, _seconds(frame.duration or None, frame.time_base))
            self._index += 1

    def _frames(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        try:
            return packet.decode()
        except av.error.EOFError:  # the decoder was flushed before
            return []
        except av.error.BlockingIOError:  # the decoder holds a packet that it can neither decode nor drop
            self._context.flush_buffers()
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError) and not self._health.stream_errors:
                raise
        self._report_failure()
        return []

    def _report_failure(self) -> None:
        self._count(stream_errors=1)
        self._expected.report_failure()

    def _lose(self, time_s: float) -> bool:
        """Count the lost frames before a time. Returns whether the frame at that time is not itself counted as lost."""
        lost = self._expected.take(time_s)
        if lost:
            self._index += lost
            self._count(lost_frames=lost)
        return not self._expected.late

    def _count(self, **more: int) -> None:
        self._health = replace(self._health, **{name: getattr(self._health, name) + n for name, n in more.items()})


def frame_rate(stream: VideoStream) -> float | None:
    """Average rate of a stream, frames per second; None if it has no plausible one."""
    # Some remuxed AVI files have twice the rate, with an empty packet after every frame.
    rates = [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
    rate = min(rates, default=0.0)
    return rate if 0 < rate < 1000 else None


class _TimeChoice:
    """Chooses between a frame's two timestamps like FFmpeg's `best_effort_timestamp`, which PyAV does not expose.

    The presentation timestamp is used, unless it has decreased more often than the decoding timestamp. Containers such
    as AVI have only decoding timestamps.
    """

    def __init__(self) -> None:
        self._last: list[float | None] = [None, None]
        self._faults = [0, 0]

    def choose(self, pts_s: float | None, dts_s: float | None) -> float | None:
        """The timestamp of the next frame, out of both of its timestamps; None if it has neither."""
        for kind, (own_s, other_s) in enumerate(((pts_s, dts_s), (dts_s, pts_s))):
            last_s = self._last[kind]
            if own_s is not None:
                self._faults[kind] += last_s is not None and own_s <= last_s
                self._last[kind] = own_s
            elif other_s is not None:
                self._last[kind] = other_s
        if pts_s is not None and (dts_s is None or self._faults[0] <= self._faults[1]):
            return pts_s
        return dts_s


def _seconds(ticks: int | None, base: Fraction | None) -> float | None:
    return None if ticks is None or not base else ticks * base.numerator / base.denominator
