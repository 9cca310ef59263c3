"""VideoEncoder: encode images with timestamps into a video file."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fastsam_engine.errors import OutputError, one_line
from fastsam_engine.store.atomic_files import is_written_in_place
from fastsam_trt.errors import OutputStoppedError
from fastsam_trt.sinks.video.fast_start import write_index_first
from fastsam_trt.sinks.video.formats import VideoFormat
from fastsam_trt.sinks.video.pixel_conversion import conversion_of
from fastsam_trt.sinks.video.recording_file import RecordingFile
from fastsam_trt.sinks.video.sound_track import open_sound

_logger = logging.getLogger(__name__)

_BUFFER_B = 1 << 18
_KEY_FRAME_S = 2.0  # between key frames, to which a player can seek
_MOST_BETWEEN_KEYS = 100_000  # frames: no limit in practice, since `_KEY_FRAME_S` comes first
_LONGEST_S = 300.0  # longest duration of a frame: containers have limits, AVI and GIF the lowest
_LONGEST_TICKS = 50_000  # AVI fills gaps with empty frames, at most 60,000
_HIGHEST_RATE = 240  # nominal frame rate for the encoder; timestamps are exact at any rate
_BT709, _LIMITED_RANGE = 1, 1  # codes of ITU-T H.273, and FFmpeg's AVCOL_RANGE_MPEG
_INTERLEAVE_US = "100000"  # how long packets of one stream wait for those of the other


class VideoEncoder:
    """Encodes one file. An image is completely in the file two or three images later; see `VideoFormat.muxer_options`.

    Attributes:
        frames: Number of images encoded.
    """

    def __init__(
        self,
        path: Path,
        form: VideoFormat,
        size: tuple[int, int],
        tick_s: Fraction,
        rate: Fraction,
        sound: Path | None = None,
        start_s: float = 0.0,
    ) -> None:
        """Create the file and write its header.

        Args:
            path: The file.
            form: Format of the file.
            size: (width, height), px.
            tick_s: Duration of a tick, s.
            rate: Nominal frame rate.
            sound: File whose sound belongs to the images; None: no sound.
            start_s: Media time of the first image, s.

        Raises:
            OutputError: The file can't be created, or the encoder does not take images of this size.
            OutputStoppedError: There is no space for the header.
        """
        self._path, self._form = path, form
        self._tick_s, self._rate = tick_s, rate
        self._size = size
        self._convert = conversion_of(form).convert
        self._key_ticks = round(_KEY_FRAME_S / tick_s)
        self._longest_ticks = min(round(_LONGEST_S / tick_s), _LONGEST_TICKS if form.tick_s is None else 1 << 62)
        self._last: VideoFrame | None = None
        self._held: Packet[VideoStream] | None = None
        self._last_tick, self._key_tick = 0, 0
        self._complete = 0  # bytes up to the end of the last complete fragment
        self._packets = 0
        self.frames = 0
        self._is_stream = is_written_in_place(path)
        self._file = RecordingFile(path, stream=self._is_stream)
        try:
            self._begin(sound, start_s)
        except (av.FFmpegError, ValueError) as error:
            self._file.close()
            if not self._is_stream:
                path.unlink(missing_ok=True)
            found = f"{form.encoder} can't encode frames of {size[0]} x {size[1]} px ({one_line(error)})"
            raise OutputError(path, found) from error
        try:
            self._check()
        except OutputStoppedError:
            self._file.close()
            raise

    def write(self, image: NDArray[np.uint8], tick: int) -> None:
        """Encode an image.

        Args:
            image: (H, W, 3) uint8 BGR, contiguous, of the file's size; not referenced after the call.
            tick: Timestamp of the image; greater than the previous one.

        Raises:
            OutputStoppedError: There is no space for it, or the pipe's reader has gone; the file has the images before.
        """
        frame = self._convert(image)
        while self._last is not None and tick - self._last_tick > self._longest_ticks:
            self._encode(self._last, self._last_tick + self._longest_ticks)
        self._encode(frame, tick)
        self.frames += 1
        self._raise_interrupt()

    def close(self, duration: int, *, hurried: bool = False) -> None:
        """Finish the file.

        Args:
            duration: Duration of the last image, ticks.
            hurried: Whether to keep the fragments, which saves the time of a rewrite.

        Raises:
            OutputStoppedError: There is no space for the end of the file.
        """
        try:
            if self._file.error is None:
                self._finish(self._last_tick + duration)
        except av.FFmpegError as error:
            raise self._stopped(one_line(error), "to finish it") from error
        finally:
            if self._sound is not None:
                self._sound.close()
            with suppress(av.FFmpegError):
                self._container.close()
            self._file.close()
        if self._form.fast_start and not hurried and not self._is_stream and self._file.error is None:
            write_index_first(self._path, self._form.muxer, self._packets)
        self._raise_interrupt()

    def _finish(self, end: int) -> None:
        for packet in self._stream.encode(None):
            self._release(until=packet.pts)
            self._held = packet
        self._release(until=end)
        if self._sound is not None:
            self._sound.feed(float(end * self._tick_s))
            self._sound.close()
            self._packets += self._sound.packets
        self._container.close()
        self._check()

    def _begin(self, sound: Path | None, start_s: float) -> None:
        form = self._form
        options = {"flush_packets": "1", "max_interleave_delta": _INTERLEAVE_US, **form.muxer_options}
        self._container = av.open(
            self._file, "w", form.muxer, container_options=options, buffer_size=_BUFFER_B, options={}
        )
        rate = min(max(self._rate, Fraction(1)), Fraction(_HIGHEST_RATE))
        self._stream = cast("VideoStream", self._container.add_stream(form.encoder, rate, dict(form.options)))
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = form.pixel_format
        self._stream.time_base = self._tick_s
        context = self._stream.codec_context
        context.time_base = self._tick_s
        context.gop_size = _MOST_BETWEEN_KEYS
        context.thread_count = _threads()
        context.sample_aspect_ratio = Fraction(1)
        if not form.full_range:
            context.color_primaries = context.color_trc = context.colorspace = _BT709
            context.color_range = _LIMITED_RANGE
        self._sound = None if sound is None else open_sound(sound, form, self._container, start_s)
        try:
            self._container.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            if self._sound is None:
                raise
            _logger.warning("%s: its sound can't be kept (%s)", sound, one_line(error))
            self._sound.close(flush=False)
            self._file.restart()
            self._begin(None, start_s)

    def _encode(self, frame: VideoFrame, tick: int) -> None:
        is_key = self._last is None or tick - self._key_tick >= self._key_ticks
        if is_key:
            self._key_tick = tick
        frame.pict_type = PictureType.I if is_key else PictureType.NONE
        frame.pts, frame.time_base = tick, self._tick_s
        try:
            for packet in self._stream.encode(frame):
                self._release(until=packet.pts)
                self._held = packet
        except av.FFmpegError as error:
            raise self._stopped(one_line(error), "to encode more") from error
        self._last, self._last_tick = frame, tick

    def _release(self, until: int | None) -> None:
        """Write the held packet, now that the time of the next is known: fragments store durations."""
        packet, self._held = self._held, None
        if packet is None or packet.pts is None or until is None:
            return
        if self._sound is not None:
            self._sound.feed(float(packet.pts * self._tick_s))
        packet.duration = until - packet.pts
        self._container.mux(packet)
        self._packets += 1
        self._check()

    def _check(self) -> None:
        """Raise the file's error, with the incomplete end cut off."""
        error = self._file.error
        if error is None:
            self._complete = self._file.length
            return
        self._file.cut(self._complete)
        if isinstance(error, BrokenPipeError):
            raise self._stopped(str(error.strerror), "its reader to stay open", "") from error
        raise self._stopped(str(error.strerror)) from error

    def _raise_interrupt(self) -> None:
        interrupt, self._file.interrupt = self._file.interrupt, None
        if interrupt is not None:
            raise interrupt

    def _stopped(self, found: str, *more: str) -> OutputStoppedError:
        return OutputStoppedError(self._path, self.frames, found, *more)


def _threads() -> int:
    """A quarter of the cores; the model uses the rest."""
    return min(max((os.cpu_count() or 1) // 4, 1), 8)
