"""RecordingFile: the file that FFmpeg writes a recording to."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from fastsam_engine.errors import OutputError
from fastsam_engine.store.atomic_files import open_in_place


class RecordingFile:
    """A file object for FFmpeg. It stores the first error and drops all later writes.

    FFmpeg continues after a write error and would write an index or length of data that are missing. So errors are
    hidden from it: callers check `error` after each call.

    Attributes:
        error: The first error; None if there was none.
        interrupt: A KeyboardInterrupt or similar that came during a write, which FFmpeg would swallow.
        length: Number of bytes written.
    """

    def __init__(self, path: Path, *, stream: bool) -> None:
        """Create the file, or open a pipe or device.

        Args:
            path: The file.
            stream: Whether it is a pipe or device, which is not seekable.

        Raises:
            OutputError: It can't be opened.
        """
        try:
            self._raw = open_in_place(path)
        except OSError as error:
            raise OutputError(path, f"it can't be written ({error.strerror})") from error
        self.name = os.fspath(path)
        self.error: OSError | None = None
        self.interrupt: BaseException | None = None
        self.length = 0
        self._stream = stream
        self._position = 0

    def write(self, data: bytes) -> int:
        """Write all data, or store the error."""
        rest = memoryview(data)
        while rest and self.error is None:
            try:
                written = self._raw.write(rest)  # a disk that fills up takes part of it
            except OSError as error:
                self.error = error
            except BaseException as interrupt:  # noqa: BLE001 - stored, and raised by the caller
                self.interrupt = interrupt
                if self._stream:  # the number of written bytes is unknown
                    self.error = InterruptedError(errno.EINTR, os.strerror(errno.EINTR))
                else:
                    self._raw.seek(self._position)
            else:
                rest = rest[written:]
                self._position += written
                self.length = max(self.length, self._position)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position of the next write."""
        if self.error is None:
            self._position = self._raw.seek(offset, whence)
        return self._position

    def tell(self) -> int:
        """The position of the next write."""
        return self._position

    def seekable(self) -> bool:
        """Whether `seek` works."""
        return not self._stream

    def cut(self, length: int) -> None:
        """Truncate the file to a length, unless it is a stream."""
        if not self._stream:
            with suppress(OSError):
                self._raw.truncate(length)

    def restart(self) -> None:
        """Truncate the file to nothing, to write another header."""
        if not self._stream:
            self.cut(0)
            self.seek(0)
            self.length = 0

    def close(self) -> None:
        """Close the file; an error is stored."""
        try:
            self._raw.close()
        except OSError as error:
            self.error = self.error or error


def file_url(path: Path) -> str:
    """A file name for FFmpeg, which would read the part before a colon as a protocol."""
    return f"file:{os.fspath(path)}"
