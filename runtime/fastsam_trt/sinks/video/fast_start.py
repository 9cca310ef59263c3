"""Rewrite a finished MP4 with its index in front and without fragments ("fast start")."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import av

from fastsam_engine.store.atomic_files import part_path
from fastsam_trt.sinks.video.recording_file import RecordingFile, file_url

_logger = logging.getLogger(__name__)

_LONGEST_B, _MOST_PACKETS = 2 << 30, 300_000  # rewriting a larger file would delay the end of the run
_INDEX_B, _INDEX_BASE_B = 48, 1 << 13  # upper bounds for an index: bytes per packet, and bytes for everything else
_BUFFER_B = 1 << 20


def write_index_first(path: Path, muxer: str, packets: int) -> None:
    """Atomically replace a fragmented file by a plain one. If that fails, the fragmented file stays.

    Space for the index is reserved in front, so that the data are written only once.

    Args:
        path: The file.
        muxer: FFmpeg's name of its container.
        packets: Number of packets in the file.
    """
    target = path.resolve()  # a symbolic link stays one
    part = part_path(target)
    try:
        if packets > _MOST_PACKETS or target.stat().st_size > _LONGEST_B:
            return
        _rewrite(target, part, muxer, packets)
        shutil.copymode(target, part)
        part.replace(target)
    except (av.FFmpegError, OSError, ValueError) as error:
        _logger.info("%s stays in fragments (%s)", path, error)
    finally:
        part.unlink(missing_ok=True)


def _rewrite(path: Path, part: Path, muxer: str, packets: int) -> None:
    options = {"moov_size": str(packets * _INDEX_B + _INDEX_BASE_B)}
    written = RecordingFile(part, stream=False)
    try:
        with (
            av.open(file_url(path), "r") as source,
            av.open(written, "w", muxer, container_options=options, buffer_size=_BUFFER_B) as container,
        ):
            streams = {stream.index: container.add_stream_from_template(stream) for stream in source.streams}
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream_index]
                    container.mux(packet)
                if written.error or written.interrupt:
                    break
    finally:
        written.close()
    if written.interrupt or written.error:
        raise written.interrupt or written.error  # type: ignore[misc]
