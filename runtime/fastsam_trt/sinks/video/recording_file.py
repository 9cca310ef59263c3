"""RecordingFile: the file that a container is written into."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from fastsam_engine.errors import OutputError
from fastsam_engine.store.atomic_files import open_in_place


class RecordingFile:
    """What FFmpeg writes through. An error is kept, and what is written after it is dropped.

    FFmpeg goes on writing after an error, and would put an index or a length of what is not there into the file. So it
    never learns of one: its user looks at `error` after each call.

    Attributes:
        error: What went wrong first; None: nothing.
        interrupt: A KeyboardInterrupt or the like that came while it was written, which FFmpeg would lose.
        length: Bytes that were written.
    """

    def __init__(self, path: Path, *, stream: bool) -> None:
        """Make the file, or open a pipe or device.

        Args:
            path: The file.
            stream: Whether it is a pipe or device, in which nothing can be sought.

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
        """Write all of it, or keep the error."""
        rest = memoryview(data)
        while rest and self.error is None:
            try:
                written = self._raw.write(rest)  # a disk that fills takes a part first
            except OSError as error:
                self.error = error
            except BaseException as interrupt:  # noqa: BLE001 - kept, and raised by who looks at it
                self.interrupt = interrupt
                if self._stream:  # how much went out is not known
                    self.error = InterruptedError(errno.EINTR, os.strerror(errno.EINTR))
                else:
                    self._raw.seek(self._position)
            else:
                rest = rest[written:]
                self._position += written
                self.length = max(self.length, self._position)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to where the next bytes are written."""
        if self.error is None:
            self._position = self._raw.seek(offset, whence)
        return self._position

    def tell(self) -> int:
        """Where the next bytes are written."""
        return self._position

    def seekable(self) -> bool:
        """Whether `seek` works."""
        return not self._stream

    def cut(self, length: int) -> None:
        """Drop what is behind the first bytes, where that can be done."""
        if not self._stream:
            with suppress(OSError):
                self._raw.truncate(length)

    def restart(self) -> None:
        """Drop everything, to write another header."""
        if not self._stream:
            self.cut(0)
            self.seek(0)
            self.length = 0

    def close(self) -> None:
        """Close it; an error is kept."""
        try:
            self._raw.close()
        except OSError as error:
            self.error = self.error or error


def file_url(path: Path) -> str:
    """A file's name for FFmpeg, which takes what stands before a colon for a protocol."""
    return f"file:{os.fspath(path)}"
