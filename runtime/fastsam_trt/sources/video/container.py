"""VideoContainer: a file opened through FFmpeg's demuxers, which read this file and no other."""

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

# Bytes between two packets that are more than containers put there, beside an eighth of all. MPEG streams cut up the
# packets of several streams and mix them.
_HOLE, _MPEG_HOLE = 1024, 16384
_ENCRYPTED = frozenset({"'encv'", "'drmi'"})
_NO_INDEX = "a video whose index (moov) is missing or cut off, as that of a recording that was broken off"
_PLAYLISTS = (b"#EXTM3U", b"ffconcat")
_AVI_HEAD_B = 8  # of a chunk, whose start the index names, and FFmpeg its content
_STUCK = 16  # errors of a demuxer that stays where it is
_MOST_ERRORS = 10_000  # in a row
# What the name of a file may tell: demuxers of raw video go by the suffix. Those that print a text do as well.
_SUFFIX = re.compile(r"\.(?!ans$|art$|asc$|diz$|ice$|nfo$|txt$|vt$)[a-z0-9]{1,8}$")


class VideoContainer(AbstractContextManager["VideoContainer"]):
    """An open file and its video stream.

    FFmpeg gets the open file, not its name: no name is taken for a protocol, a pattern or an option, and what names
    other files (playlists) is refused.

    Attributes:
        container: What the demuxer says of the file.
        stream: The video that is shown: the best one by FFmpeg's rules, cover images left out.
    """

    container: InputContainer
    stream: VideoStream

    def __init__(self, name: str, path: str) -> None:
        """Open it.

        Args:
            name: What the user called it.
            path: The file.

        Raises:
            SourceUnreadableError: It can't be opened, or holds no video that can be decoded.
        """
        self._name = name
        self._gave_up = False
        try:
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - it stays open
        except OSError as error:
            raise SourceUnreadableError(name, f"it can't be read ({error.strerror})") from error
        try:
            self.container = self._open(path)
            self._whole_index = "mp4" in self.container.format.name
            if self.container.format.name == "avi":  # it has times of decoding; those that are made of them are wrong
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
                found = "found a playlist, which names other files; name those themselves"
            elif lacks_index(self._file):
                found = f"found {_NO_INDEX}"
            else:
                found = f"found a file that FFmpeg can't open as one ({error.strerror})"
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
            found = "an encrypted video" if codec in _ENCRYPTED else f"a video of the codec {codec}"
            raise SourceUnreadableError(self._name, f"expected a codec that FFmpeg decodes, found {found}")
        return chosen

    @property
    def sounds(self) -> bool:
        """Whether it has sound."""
        return bool(self.container.streams.audio)

    @property
    def breaks_off(self) -> bool:
        """Whether the container goes on behind the file's end, or behind the last of it that can be read."""
        return self._gave_up or breaks_off(self._file, self._count_bytes(), self.container.format.name, self.stream)

    def packets(
        self, report_gap: Callable[[], None], report_error: Callable[[], None]
    ) -> Iterator[Packet[VideoStream]]:
        """Yield the video's packets, over errors of the demuxer; none of them is empty.

        Args:
            report_gap: Called where bytes were passed over before the next packet.
            report_error: Called where the demuxer reports an error before the next packet.

        Raises:
            SourceUnreadableError: The file can't be read, on a disk that fails for instance, or is encrypted.
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
                        passed = position - last
                        if last and not self._whole_index and passed - known > self._hole + passed // 8:
                            report_gap()
                        if not last and packet.has_sidedata("encryption_info"):
                            raise SourceUnreadableError(self._name, "expected an open video, found an encrypted one")
                        last, known = position, 0
                        _place(packet, indexed.get(position - _AVI_HEAD_B))
                        yield packet
                    known += packet.size
            except IndexError:  # PyAV's own, at the end of what began with fewer streams
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
        """Position to time of the packets of an AVI file by its index; its packets have no times of their own.

        FFmpeg counts them, and so takes every packet behind a damaged stretch for an earlier one.
        """
        if self.container.format.name != "avi":
            return {}
        return {entry.pos: entry.timestamp for entry in self.stream.index_entries}

    def _demux(self) -> Iterator[Packet[VideoStream]]:
        """Packets of all streams where those of others tell which bytes are missing."""
        packets = self.container.demux(self.stream) if self._whole_index else self.container.demux()
        return cast("Iterator[Packet[VideoStream]]", packets)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if hasattr(self, "container"):
            self.container.close()
        self._file.close()


class _Named:
    """A file under another name."""

    def __init__(self, file: Any, name: str) -> None:
        self.name = name
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


class _OtherFileError(Exception):
    """A demuxer asks for another file."""


def _refuse_others(url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    raise _OtherFileError(url)


def _place(packet: Packet[VideoStream], time: int | None) -> None:
    """Move a packet on to the time that an index tells for it."""
    if time is None or packet.dts is None or time <= packet.dts:
        return
    if packet.pts is not None:
        packet.pts += time - packet.dts
    packet.dts = time
