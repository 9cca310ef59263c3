"""StreamReader: read the frames of a stream or pipe through PyAV."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from typing import Protocol, cast

import av
from av.container.core import Flags
from av.container.input import InputContainer
from av.format import Flags as FormatFlags
from av.video.stream import VideoStream

from fastsam_trt.sources.health import SourceHealth
from fastsam_trt.sources.video.bgr_converter import BgrConverter
from fastsam_trt.sources.video.decoder import Decoded, Decoder, frame_rate
from fastsam_trt.sources.video.reader_events import CapturedFrame, Ended, Opened
from fastsam_trt.sources.video.stream_choice import choose_video, describe_streams, has_decoder

# With n frame threads, a decoder outputs a frame n packets later: half a second for a 30 Hz stream on 16 cores. One
# thread of a server decodes 130 frames per second at 1920 x 1080, 60 at 3840 x 2160.
_DECODER_THREADS = 1
_READ_ERRORS = 1000  # in a row, before a stream is considered broken
_RETRY_S = 0.01
_WAIT_S = 0.002  # reading a buffered packet takes less
_NO_TIMESTAMPS = cast("int", FormatFlags.no_timestamps.value)
_STILL_BRANDS = frozenset({"avif", "heic", "heix", "mif1"})


class ByteReader(Protocol):
    """An open pipe, from whose bytes FFmpeg reads a stream."""

    began_s: float
    """Time at which it was opened, on the clock of `time.perf_counter`."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; empty at the end."""
        ...


class StreamReader:
    """An open stream.

    Packets that can't be decoded and data that can't be read are skipped and counted. The environment variable
    `OPENCV_FFMPEG_CAPTURE_OPTIONS` sets FFmpeg's options (`rtsp_transport;udp|buffer_size;4000000`), as in programs
    that read streams through OpenCV.
    """

    def __init__(self, source: str | ByteReader, *, open_s: float = math.inf, read_s: float = math.inf) -> None:
        """Open the stream.

        Args:
            source: An address for FFmpeg, or a pipe.
            open_s: Time limit for opening an address, s.
            read_s: Time limit for a frame, s.

        Raises:
            OSError: It can't be opened.
            LookupError: It has no video that can be decoded.
        """
        is_pipe = not isinstance(source, str)
        began_s = time.perf_counter() if isinstance(source, str) else source.began_s
        timeouts = None if is_pipe else (cast("float", _TimeLeft(open_s)), read_s)
        try:
            self._container = av.open(
                source, "r", options={} if is_pipe else _options(), timeout=timeouts, metadata_errors="replace"
            )
        except av.FFmpegError as error:
            raise OSError(error.strerror) from error
        try:
            self._stream = _find_video(self._container)
            name = self._container.format.name
            if name == "avi":  # FFmpeg derives wrong timestamps from its decoding times
                self._container.flags &= ~cast("int", Flags.gen_pts.value)
            has_end = not is_pipe and _has_end(self._container)
            # A pipe without timestamps is more likely a file than a camera, except for MJPEG with HTTP headers.
            has_rate = has_end or (is_pipe and name != "mpjpeg")
            self._is_timed = has_rate or _has_timestamps(self._container)
            fps = frame_rate(self._stream) if self._is_timed else None
            self.opened = Opened(fps, has_end, _is_image(self._container), began_s)
            self._decoder = Decoder(self._stream, threads=_DECODER_THREADS)
        except BaseException:
            self._container.close()
            raise
        self._read_s = read_s
        self._packets = self._container.demux(self._stream)
        self._frames: deque[Decoded] = deque()
        self._converter = BgrConverter()
        self._waited = False
        self._read_errors = 0
        self._joining: SourceHealth | None = None
        self._end: Ended | None = None
        self._over = False

    def read(self, *, decode: bool) -> CapturedFrame | Ended | None:
        """Wait for the next frame.

        Args:
            decode: Whether to convert the image.

        Returns:
            The frame; `Ended` at the end of a recording; None if a stream breaks off or sends no frame in time.
        """
        end_s = time.perf_counter() + self._read_s
        self._waited = False
        while not self._frames and not self._over and time.perf_counter() < end_s:
            self._fill()
        if not self._frames:
            return self._end
        decoded = self._frames.popleft()
        captured_s, timestamp_s = time.perf_counter(), time.time()
        return CapturedFrame(
            self._converter.convert(decoded.frame) if decode else None,
            captured_s,
            timestamp_s,
            decoded.time_s if self._is_timed else None,
            self._converter.pixel_aspect(decoded.frame, self._stream.sample_aspect_ratio),
            self._damage(),
            self._waited,
            decoded.duration_s if self._is_timed else None,
        )

    def close(self) -> None:
        """Close the connection."""
        self._packets = iter(())
        self._container.close()

    def _fill(self) -> None:
        """Decode one more packet."""
        try:
            began_s = time.perf_counter()
            packet = next(self._packets)
            self._waited = self._waited or time.perf_counter() - began_s > _WAIT_S
            self._read_errors = 0
            if packet.size:
                self._frames.extend(self._decoder.decode(packet))
        except (StopIteration, IndexError):  # PyAV raises IndexError if streams were added after the start
            self._finish(Ended() if self.opened.has_end else None)
        except av.error.BlockingIOError:
            time.sleep(_RETRY_S)
            self._packets = self._container.demux(self._stream)
        except av.error.InvalidDataError:
            self._decoder.report_error()
            self._packets = self._container.demux(self._stream)
            self._read_errors += 1
            if self._read_errors > _READ_ERRORS:
                self._finish(None)
        except av.FFmpegError:  # the connection broke, or timed out
            self._finish(None)

    def _finish(self, end: Ended | None) -> None:
        self._over, self._end = True, end
        self._frames.extend(self._decoder.flush())

    def _damage(self) -> SourceHealth:
        """Damage since the first frame. Before it, a stream that is joined midway can't be decoded without errors."""
        health = self._decoder.health
        if self._joining is None:
            self._joining = health
        return SourceHealth(
            lost_frames=health.lost_frames - self._joining.lost_frames,
            damaged_frames=health.damaged_frames - self._joining.damaged_frames,
            stream_errors=health.stream_errors - self._joining.stream_errors,
        )


class _TimeLeft:
    """A time limit for all steps of opening together: PyAV converts it to a number of seconds before each step."""

    def __init__(self, limit_s: float) -> None:
        self._end_s = time.perf_counter() + limit_s

    def __float__(self) -> float:
        return max(self._end_s - time.perf_counter(), 0.0)


def _options() -> dict[str, str]:
    """FFmpeg's options: those of `OPENCV_FFMPEG_CAPTURE_OPTIONS`, else RTSP over TCP, which loses no packets."""
    options = os.environ.get("OPENCV_FFMPEG_CAPTURE_OPTIONS")
    if options is None:
        return {"rtsp_flags": "prefer_tcp"}
    pairs = (option.partition(";") for option in options.split("|"))
    return {name: value for name, _, value in pairs if name}


def _find_video(container: InputContainer) -> VideoStream:
    if container.format.name == "tty":  # FFmpeg renders text as the video of a terminal
        raise LookupError("expected a video or image, found text")
    chosen = choose_video(container)
    if chosen is None:
        raise LookupError(f"expected a video or image, found {describe_streams(container)}")
    if not has_decoder(chosen):
        raise LookupError("expected a codec that FFmpeg can decode, found another")
    return chosen


def _has_timestamps(container: InputContainer) -> bool:
    """Whether the container has timestamps. Without them FFmpeg assumes a frame rate, such as 25."""
    name = container.format.name
    return not container.format.flags & _NO_TIMESTAMPS and not name.endswith("pipe") and name != "rawvideo"


def _has_end(container: InputContainer) -> bool:
    """Whether it is a recording of known size. For an HLS playlist, the size is that of the list: use its duration."""
    if container.format.name == "mpjpeg":  # some cameras send a wrong length
        return False
    return container.duration is not None if container.format.name == "hls" else container.size > 0


def _is_image(container: InputContainer) -> bool:
    """Whether it is a still image, by the format that FFmpeg detected."""
    name = container.format.name
    if name.endswith("_pipe") or name == "image2":
        return True
    return "mp4" in name.split(",") and container.metadata.get("major_brand") in _STILL_BRANDS
