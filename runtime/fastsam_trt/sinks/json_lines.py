"""JsonLinesSink: write one JSON line per frame, with the selected segments."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from fastsam_engine.errors import OutputError
from fastsam_engine.store.atomic_files import check_writable, open_in_place
from fastsam_trt.errors import OutputStoppedError, OutputUnreadError
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame


class JsonLinesSink(Sink):
    """Writes every line completely or not at all, so that all lines stay valid if the run stops or the disk fills."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        """Check the output. The file is created or truncated with the first line.

        Args:
            path: The file.
            descriptor: An open file descriptor to write to instead, such as stdout; the sink closes it. `path` is then
                only a name.

        Raises:
            OutputError: The file can't be written.
        """
        if descriptor is None:
            check_writable(path)
        self._path = path
        self._is_stream = descriptor is not None
        self._file = None if descriptor is None else FileIO(descriptor, "w")
        self._frames = 0

    def write(self, frame: Frame, result: Result) -> None:
        """Write the line of a frame.

        Raises:
            OutputError: The file can't be created.
            OutputStoppedError: There is no space for the line; no part of it is kept.
            OutputUnreadError: The file is a pipe whose reader has closed it.
            BrokenPipeError: The same, for a descriptor.
        """
        line = json.dumps(as_record(frame, result), ensure_ascii=False, separators=(",", ":"))
        if self._file is None:
            try:
                self._file = open_in_place(self._path)
            except OSError as error:
                raise OutputError(self._path, f"it can't be written ({error.strerror})") from error
        # Bytes of file names that are not valid text are kept, escaped as in JSON.
        self._append(self._file, f"{line}\n".encode("utf-8", "backslashreplace"))
        self._frames += 1

    def _append(self, file: FileIO, line: bytes) -> None:
        size = os.fstat(file.fileno()).st_size  # before this line
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[file.write(rest) :]  # a disk that fills up takes part of it
        except BaseException as error:
            with suppress(OSError):  # a pipe can't be truncated
                file.truncate(size)
                file.seek(size)
            if isinstance(error, BrokenPipeError):
                if self._is_stream:
                    raise
                raise OutputUnreadError(self._path, self._frames) from error
            if isinstance(error, OSError):
                raise OutputStoppedError(self._path, self._frames, str(error.strerror)) from error
            raise

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def as_record(frame: Frame, result: Result, *, masks: bool = True) -> dict[str, Any]:
    """The result of a frame in JSON types; the masks, which take the time, may be left out.

    `size` is [H, W], boxes are xyxy px, masks COCO RLE. `pending_tracks` are the track ids of segments that are decided
    in a later frame; `pending` is the same under its old name, for one version. `time` is the position in a video in
    seconds, or the Unix time at which a live frame was read.
    """
    record = result.to_dict(masks=masks)
    return {
        "frame": frame.index,
        "source": frame.source,
        "size": record["size"],
        "time": None if frame.timestamp_s is None else round(frame.timestamp_s, 4),
        "ms": record["ms"],
        "pending": record["pending_tracks"],
        "pending_tracks": record["pending_tracks"],
        "segments": record["segments"],
    }
