"""Writing files so that a stop half-way leaves the old file or none."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from fastsam_engine.errors import OutputError

_OPEN_FILES = ("/dev/std", "/dev/fd/", "/proc/")


def is_stream(path: Path) -> bool:
    """Whether a path is written as it comes: a pipe, a device, or an open file's name such as `/dev/stdout`."""
    return path.exists() and not path.is_dir() and (not path.is_file() or str(path.absolute()).startswith(_OPEN_FILES))


def check_writable(path: Path) -> None:
    """Make sure, before any work, that a file can be made at a path. Pipes and devices are not opened.

    Raises:
        OutputError: It is a folder, or its folder is missing or can't be written.
    """
    if path.is_dir():
        raise OutputError(path, "expected a file, found a folder")
    if is_stream(path):
        if not os.access(path, os.W_OK):
            raise OutputError(path, f"it can't be written ({os.strerror(errno.EACCES)})")
        return
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(path, f"expected the folder {folder}, found none", f"run: mkdir -p {folder}")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        if path.exists():
            path.open("ab").close()
    except OSError as error:
        raise OutputError(path, f"it can't be written ({error.strerror})") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside its target and rename it into place.

    Raises:
        OutputError: The file can't be written.
    """
    part = beside(path)
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(path, f"it can't be written ({error.strerror})") from error


class PartFile:
    """A text file that grows beside its target and takes its place when it is whole; the old one stays until then.

    After an error it is gone, and writing and finishing do nothing.
    """

    def __init__(self, path: Path) -> None:
        """Make it.

        Args:
            path: The target.

        Raises:
            OutputError: It can't be made.
        """
        self._path = path
        self._part = beside(path)
        try:
            self._file = self._part.open("w", encoding="utf-8")
        except OSError as error:
            raise OutputError(path, f"it can't be written ({error.strerror})") from error

    def write(self, text: str) -> None:
        """Append.

        Raises:
            OutputError: It can't be written.
        """
        if self._file.closed:
            return
        try:
            self._file.write(text)
        except OSError as error:
            self._give_up(error)

    def finish(self) -> None:
        """Put the file in its place.

        Raises:
            OutputError: It can't be written.
        """
        if self._file.closed:
            return
        try:
            self._file.close()
            self._part.replace(self._path)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> NoReturn:
        with suppress(OSError):  # closing writes what is left, which may fail as well
            self._file.close()
        self._part.unlink(missing_ok=True)
        raise OutputError(self._path, f"it can't be written ({error.strerror})") from error


def beside(path: Path) -> Path:
    """Where a file grows before it takes the place of the one at `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")
