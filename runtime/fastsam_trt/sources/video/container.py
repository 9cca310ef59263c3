"""VideoContainer: open a video file through FFmpeg's demuxers, and read its packets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, NoReturn, cast

import av
from av.container.core import Flags
from av.container.input import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from fastsam_trt.errors import SourceUnreadableError
from fastsam_trt.sources.video.stream_choice import choose_video, describe_streams, has_decoder, name_codec
from fastsam_trt.sources.video.truncation import breaks_off, lacks_index

# A gap of more than these bytes plus an eighth of the data between two packets means missing data. MPEG streams
# interleave parts of packets, which makes for larger gaps.
_HOLE, _MPEG_HOLE = 1024, 16384
_ENCRYPTED = frozenset({"'encv'", "'drmi'"})
_NO_INDEX = "a video whose index (moov) is missing or cut off, as in a recording that was interrupted"
_PLAYLISTS = (b"#EXTM3U", b"ffconcat")
_AVI_HEAD_B = 8  # of a chunk: the index has the position of its head, FFmpeg that of its content
_STUCK = 16  # errors in a row without progress
_MOST_ERRORS = 10_000  # in a row
# Demuxers of raw video are chosen by suffix, and so are FFmpeg's text demuxers, which are excluded.
_SUFFIX = re.compile(r"\.(?!ans$|art$|asc$|diz$|ice$|nfo$|txt$|vt$)[a-z0-9]{1,8}$")


class VideoContainer(AbstractContextManager["VideoContainer"]):
    """An open file and its video stream.

    FFmpeg gets the open file, not its name. So no name is read as a protocol, pattern or option, and files that refer
    to other files (playlists) are refused.

    Attributes:
        container: PyAV's container.
        stream: The video stream to decode: the best one by FFmpeg's rules, without cover images.
    """

    container: InputContainer
    stream: VideoStream

    def __init__(self, name: str, path: str) -> None:
        """Open the file.

        Args:
            name: Name of the source, as given by the user.
            path: The file.

        Raises:
            SourceUnreadableError: It can't be opened, or has no video that can be decoded.
        """
        self._name = name
        self._gave_up = False
        try:
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - open until `close`
        except OSError as error:
            raise SourceUnreadableError(name, f"it can't be read ({error.strerror})") from error
        try:
            self.container = self._open(path)
            self._whole_index = "mp4" in self.container.format.name
            if self.container.format.name == "avi":  # FFmpeg derives wrong timestamps from its decoding times
                self.container.flags &= ~cast("int", Flags.gen_pts.value)
            self._hole = _MPEG_HOLE if self.container.format.name.startswith("mpeg") else _HOLE
            self.stream = self._choose()
        except BaseException:
            self.close()
            raise

    def _open(self, path: str) -> InputContainer:
        if not self._count_bytes():
            raise SourceUnreadableError(self._name, "expected a video or image, found an empty file")
        suffix = _SUFFIX.search(path.lower())
        try:
            return av.open(
                _Named(self._file, f"video{suffix[0] if suffix else ''}"),
                mode="r",
                metadata_errors="replace",
                io_open=_refuse_others,
            )
        except (_OtherFileError, av.error.FFmpegError) as error:
            if isinstance(error, _OtherFileError) or self._read_head().startswith(_PLAYLISTS):
                found = "found a playlist; give the files that it lists instead"
            elif lacks_index(self._file):
                found = f"found {_NO_INDEX}"
            else:
                found = f"found a file that FFmpeg can't open ({error.strerror})"
            raise SourceUnreadableError(self._name, f"expected a video or image, {found}") from error
        except OSError as error:
            raise SourceUnreadableError(self._name, f"it can't be read ({error.strerror})") from error

    def _count_bytes(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _read_head(self) -> bytes:
        self._file.seek(0)
        return self._file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()

    def _choose(self) -> VideoStream:
        chosen = choose_video(self.container)
        if chosen is None:
            found = _NO_INDEX if lacks_index(self._file) else describe_streams(self.container)
            raise SourceUnreadableError(self._name, f"expected a video or image, found {found}")
        if not has_decoder(chosen):
            codec = name_codec(self._file)
            found = "an encrypted video" if codec in _ENCRYPTED else f"the codec {codec}"
            raise SourceUnreadableError(self._name, f"expected a codec that FFmpeg can decode, found {found}")
        return chosen

    @property
    def has_sound(self) -> bool:
        """Whether the file has sound."""
        return bool(self.container.streams.audio)

    @property
    def breaks_off(self) -> bool:
        """Whether the container continues beyond the end of the file, or beyond its last readable part."""
        return self._gave_up or breaks_off(self._file, self._count_bytes(), self.container.format.name, self.stream)

    def packets(
        self, report_gap: Callable[[], None], report_error: Callable[[], None]
    ) -> Iterator[Packet[VideoStream]]:
        """Yield the packets of the video, without empty ones, skipping over errors of the demuxer.

        Args:
            report_gap: Called if bytes were skipped before the next packet.
            report_error: Called if the demuxer reports an error before the next packet.

        Raises:
            SourceUnreadableError: The file is encrypted or can't be read, for instance from a failing disk.
        """
        last = known = errors = stuck = 0
        where = -1
        indexed = self._indexed_times()
        while True:
            try:
                for packet in self._demux():
                    errors = stuck = 0
                    if packet.size and packet.stream_index == self.stream.index:
                        position = packet.pos or 0
                        distance = position - last
                        if last and not self._whole_index and distance - known > self._hole + distance // 8:
                            report_gap()
                        if not last and packet.has_sidedata("encryption_info"):
                            raise SourceUnreadableError(
                                self._name, "expected a video that is not encrypted, found an encrypted one"
                            )
                        last, known = position, 0
                        _move(packet, indexed.get(position - _AVI_HEAD_B))
                        yield packet
                    known += packet.size
            except IndexError:  # raised by PyAV at the end if streams were added after the start
                return
            except av.error.FFmpegError:
                report_error()
                errors += 1
                stuck = stuck + 1 if self._file.tell() == where else 0
                where = self._file.tell()
                self._gave_up = stuck > _STUCK or errors > _MOST_ERRORS
                if self._gave_up:
                    return
            except OSError as error:
                raise SourceUnreadableError(self._name, f"it can't be read on ({error.strerror})") from error
            else:
                return

    def _indexed_times(self) -> dict[int, int]:
        """Position to timestamp of the packets of an AVI file, by its index.

        AVI packets have no timestamps. FFmpeg counts packets instead, and so its timestamps are too early after damage.
        """
        if self.container.format.name != "avi":
            return {}
        return {entry.pos: entry.timestamp for entry in self.stream.index_entries}

    def _demux(self) -> Iterator[Packet[VideoStream]]:
        """Packets of the video; of all streams if they are needed to detect missing bytes."""
        packets = self.container.demux(self.stream) if self._whole_index else self.container.demux()
        return cast("Iterator[Packet[VideoStream]]", packets)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if hasattr(self, "container"):
            self.container.close()
        self._file.close()


class _Named:
    """A file object with another name."""

    def __init__(self, file: Any, name: str) -> None:
        self.name = name
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


class _OtherFileError(Exception):
    """A demuxer tried to open another file."""


def _refuse_others(url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    raise _OtherFileError(url)


def _move(packet: Packet[VideoStream], time: int | None) -> None:
    """Move a packet forward to its timestamp in the index."""
    if time is None or packet.dts is None or time <= packet.dts:
        return
    if packet.pts is not None:
        packet.pts += time - packet.dts
    packet.dts = time
