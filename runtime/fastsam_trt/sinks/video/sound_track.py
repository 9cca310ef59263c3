"""SoundTrack: copy the sound of the source into a recording."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.format import Flags as FormatFlags
from av.packet import Packet

from fastsam_trt.sinks.video.formats import VideoFormat
from fastsam_trt.sinks.video.recording_file import file_url

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

_logger = logging.getLogger(__name__)

_ERRORS = (av.FFmpegError, OSError, ValueError, RuntimeError)
_BACK_S, _JUMP_S = 0.25, 10.0  # a larger step means that the stream's clock was reset; FFmpeg's own limit
_SLACK_S = 1e-3  # rounding error of the first sound's time
_HEADER_CODECS = frozenset({"aac", "alac", "flac", "opus", "vorbis"})  # containers need the header of these codecs
_OPUS_HZ = 48_000


def open_sound(path: Path, form: VideoFormat, container: OutputContainer, start_s: float) -> SoundTrack | None:
    """Add the sound of a file to a container whose header is not written yet.

    Args:
        path: The file with the sound.
        form: Format of the container.
        container: The container to add the sound to.
        start_s: Media time of the first video frame, s.

    Returns:
        The track; None if the file has no sound or the container takes none. Errors are logged as warnings.
    """
    if form.sound_encoder is None:
        return None
    try:
        source = av.open(file_url(path), "r")
        if not source.streams.audio:
            source.close()
            return None
        return SoundTrack(source, form, container, start_s)
    except _ERRORS as error:
        _logger.warning("%s: its sound can't be kept (%s)", path, error)
        return None


class SoundTrack:
    """The sound of a recording, trimmed to its video frames.

    Packets are copied if the container takes their codec, else re-encoded. They are read only as far as the video has
    come, so that little is buffered and the file of a killed run has both. An error is logged as a warning and ends the
    sound, not the recording.
    """

    def __init__(self, source: InputContainer, form: VideoFormat, container: OutputContainer, start_s: float) -> None:
        """Add a stream to the container.

        Args:
            source: The file with the sound; closed with the track.
            form: Format of the container; it takes sound.
            container: The container, whose header is not written yet.
            start_s: Media time of the first video frame, s.

        Raises:
            FFmpegError, ValueError: The sound can't be read, or the container does not take it.
        """
        self._source = source
        self._container = container
        self._read = source.streams.audio[0]
        # Media times are relative to the start of the file.
        self._zero_s = start_s + (source.start_time or 0) / av.time_base
        self._units: Iterator[tuple[float, Packet[AudioStream] | AudioFrame]] = self._copied()
        if not self._add_copy(form):
            self._written = _add_encoder(container, cast("str", form.sound_encoder), self._read)
            self._units = self._encoded()
        self._next: tuple[float, Packet[AudioStream] | AudioFrame] | None = None
        self._open = True
        self.packets = 0

    def feed(self, until_s: float) -> None:
        """Write the sound that begins before a time.

        Args:
            until_s: Time after the first video frame, s.
        """
        if not self._open:
            return
        try:
            while True:
                self._next = self._next or next(self._units, None)
                if self._next is None:
                    self.close()
                    return
                if self._next[0] >= until_s:
                    return
                self._write(self._next[1])
                self._next = None
        except _ERRORS as error:
            self._open = False
            _logger.warning("the sound ends early (%s); the recording continues without it", error)

    def close(self, *, flush: bool = True) -> None:
        """Flush the encoder, unless the container can't be written, and close the source."""
        if self._open:
            self._open = False
            try:
                if self._written.codec_context.is_encoder and flush:
                    self._mux(self._written.encode(None))
            except _ERRORS as error:
                _logger.warning("the end of the sound is lost (%s)", error)
        self._source.close()

    def _add_copy(self, form: VideoFormat) -> bool:
        context = self._read.codec_context
        name = context.codec.canonical_name
        if form.copied_sounds is not None and name not in form.copied_sounds:
            return False
        if name in _HEADER_CODECS and not context.extradata:  # as in a transport stream
            return False
        try:
            self._written = self._container.add_stream_from_template(self._read)
        except ValueError:
            return False
        return True

    def _copied(self) -> Iterator[tuple[float, Packet[AudioStream]]]:
        last = -1
        for packet in self._packets():
            if packet.pts is None or not packet.size:
                continue
            shifted = packet.pts - round(self._zero_s / packet.time_base)
            time_s = float(shifted * packet.time_base)
            if time_s < -_SLACK_S or max(shifted, 0) <= last:
                continue
            packet.pts = packet.dts = last = max(shifted, 0)
            yield time_s, packet

    def _packets(self) -> Iterator[Packet[AudioStream]]:
        """The audio packets, with continuous times if the clock is reset, as in concatenated streams."""
        shift_s = Fraction(0)
        end_s: Fraction | None = None
        jumps = bool(self._source.format.flags & cast("int", FormatFlags.ts_discont.value))
        for packet in self._source.demux(self._read):
            if packet.pts is not None:
                time_s = packet.pts * packet.time_base + shift_s
                if end_s is not None and (end_s - time_s > _BACK_S or (jumps and time_s - end_s > _JUMP_S)):
                    shift_s += end_s - time_s
                    time_s = end_s
                packet.pts = packet.dts = round(time_s / packet.time_base)
                end_s = time_s + (packet.duration or 0) * packet.time_base
            yield packet

    def _encoded(self) -> Iterator[tuple[float, AudioFrame]]:
        context = self._written.codec_context
        resampler = AudioResampler(
            context.format, context.layout, context.rate, context.frame_size or None, options={"async": "1000"}
        )  # inserts silence for lost packets, to stay in sync
        for frame in self._resampled(resampler):
            if frame.pts is None or frame.time_base is None:
                continue
            shifted = frame.pts - round(self._zero_s / frame.time_base)
            if shifted * frame.time_base >= -_SLACK_S:
                frame.pts = max(shifted, 0)
                yield float(frame.pts * frame.time_base), frame

    def _resampled(self, resampler: AudioResampler) -> Iterator[AudioFrame]:
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                continue
            for frame in frames:
                yield from resampler.resample(frame)
        yield from resampler.resample(None)

    def _write(self, unit: Packet[AudioStream] | AudioFrame) -> None:
        self._mux([unit] if isinstance(unit, Packet) else self._written.encode(unit))

    def _mux(self, packets: list[Packet[AudioStream]]) -> None:
        for packet in packets:
            packet.stream = self._written
            self._container.mux(packet)
            self.packets += 1


def _add_encoder(container: OutputContainer, name: str, read: AudioStream) -> AudioStream:
    stream = cast("AudioStream", container.add_stream(name))
    context = stream.codec_context
    rates = context.codec.audio_rates
    context.rate = read.rate if rates is None or read.rate in rates else _OPUS_HZ
    context.layout = "mono" if read.channels == 1 else "stereo"
    context.open()
    return stream
