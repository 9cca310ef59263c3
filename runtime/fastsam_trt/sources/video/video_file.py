"""VideoFile: the frames of a video file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import av
from av.format import Flags as FormatFlags
from av.video.stream import VideoStream

from fastsam_trt.errors import SourceUnreadableError, TruncatedSourceError
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.health import SourceHealth
from fastsam_trt.sources.media_clock import MediaClock
from fastsam_trt.sources.source import Source
from fastsam_trt.sources.video.bgr_converter import BgrConverter
from fastsam_trt.sources.video.container import VideoContainer
from fastsam_trt.sources.video.decoder import Decoded, Decoder, frame_rate

_logger = logging.getLogger(__name__)


class VideoFile(Source):
    """A video file, through FFmpeg. It ends where the demuxer ends.

    Frames are upright, in stored pixels. Damage is skipped and counted in `health`; frames after it have the index and
    the timestamp that they have in the undamaged file, as far as can be determined. Every iteration begins at the start
    of the file.
    """

    kind = "video"

    def __init__(self, name: str, path: str | Path, vid_stride: int = 1) -> None:
        """Open the file.

        Args:
            name: Name of the source, as given by the user.
            path: The file.
            vid_stride: Yield every n-th frame.

        Raises:
            SourceUnreadableError: The file is not a video.
        """
        self._name = name
        self._path = str(path)
        self._stride = vid_stride
        self._lock = threading.Lock()  # so that the file is not closed while the decoder runs
        self._media: VideoContainer | None = VideoContainer(name, self._path)
        self._fresh = True
        self._health = SourceHealth()
        self._unshown = 0  # frames that were decoded but can't be converted
        self._end_s: float | None = None
        stream = self._media.stream
        rate = frame_rate(stream)
        self.fps = None if rate is None else rate / vid_stride
        self.frames = _estimate(self._media, rate, vid_stride)
        self.sound = Path(self._path) if self._media.has_sound else None

    @property
    def end_s(self) -> float | None:
        return self._end_s

    @property
    def health(self) -> SourceHealth:
        return replace(self._health, lost_frames=self._health.lost_frames + self._unshown)

    def __iter__(self) -> Iterator[Frame]:
        with self._lock:
            media = self._begin()
            if media is None:
                return
            stream = media.stream
            clock = MediaClock(_start_s(media), frame_rate(stream), longest_jump_s=_longest_jump_s(media))
        converter = BgrConverter()
        decoded = self._decode(media)
        size: tuple[int, int] | None = None
        due = count = index = 0
        end_s: float | None = None
        while True:
            with self._lock:  # per step, since `close` may come from another thread
                item = None if self._stopped or media is not self._media else next(decoded, None)
                if item is None:
                    break
                media_s = clock.advance(item.time_s, item.index - index)
                end_s = clock.end(item.duration_s)
                count, index = count + 1, item.index
                if index < due:
                    continue
                try:
                    image = converter.convert(item.frame)
                except av.error.FFmpegError:  # a pixel format that damage caused, or that swscale does not support
                    self._unshown += 1
                    count -= 1
                    continue
                aspect = converter.pixel_aspect(item.frame, stream.sample_aspect_ratio)
            due = index - index % self._stride + self._stride
            height, width = image.shape[:2]
            if size is not None and size != (height, width):
                _logger.warning(
                    "source %r continues with frames of %d x %d px, after %d x %d px",
                    *(self._name, width, height, *reversed(size)),
                )
            size = height, width
            yield Frame(image, index, self._name, timestamp_s=media_s, media_s=media_s, pixel_aspect=aspect)
            del item, image  # to free memory while the next frame is decoded
        self._check_end(media, count, end_s)

    def _begin(self) -> VideoContainer | None:
        """The container at its start; None after `close` or `stop`."""
        if self._media is None or self._stopped:
            return None
        if not self._fresh:
            self._media.close()
            self._media = VideoContainer(self._name, self._path)
        self._fresh = False
        self._health, self._unshown, self._end_s = SourceHealth(), 0, None
        return self._media

    def _decode(self, media: VideoContainer) -> Iterator[Decoded]:
        decoder = Decoder(media.stream)
        for packet in media.packets(decoder.report_gap, decoder.report_error):
            yield from decoder.decode(packet)
            self._health = decoder.health
        yield from decoder.flush()
        self._health = decoder.health

    def _check_end(self, media: VideoContainer, count: int, end_s: float | None) -> None:
        with self._lock:
            if self._stopped or media is not self._media:
                return
            self._end_s = end_s
            cut_short = media.breaks_off
            expected = _frame_count(media.stream) or 0
        if count == 0:
            raise SourceUnreadableError(self._name, "expected a video or image, found no frame that can be decoded")
        if cut_short:
            raise TruncatedSourceError(self._name, count, expected if expected > count else None)

    def close(self) -> None:
        with self._lock:
            if self._media is not None:
                self._media.close()
                self._media = None


def _start_s(media: VideoContainer) -> float | None:
    start = media.container.start_time
    return None if start is None else start / 1e6


def _longest_jump_s(media: VideoContainer) -> float:
    """A longer step between timestamps means that the clock was reset, or that they are damaged, s."""
    duration = media.container.duration
    if media.container.format.flags & cast("int", FormatFlags.ts_discont.value):
        return 10.0
    return float("inf") if duration is None else max(duration / 1e6, 10.0)


def _frame_count(stream: VideoStream) -> int | None:
    """Number of frames according to the container; None if it has no count, or counts empty packets too."""
    rate, average = frame_rate(stream), stream.average_rate
    doubled = rate is not None and average is not None and average > 1.5 * rate
    return stream.frames if stream.frames > 0 and not doubled else None


def _estimate(media: VideoContainer, rate: float | None, stride: int) -> int | None:
    """Expected number of frames, by the container's frame count or duration."""
    stream, whole = media.stream, media.container.duration
    duration_s = None if whole is None else whole / 1e6
    if stream.duration is not None and stream.time_base is not None:
        duration_s = float(stream.duration * stream.time_base)
    expected = _frame_count(stream)
    counts = [] if expected is None else [expected]
    if duration_s is not None and duration_s > 0 and rate is not None:
        counts.append(max(round(duration_s * rate), 1))
    return -(-min(counts) // stride) if counts else None
