"""Write files atomically, so that an interruption leaves the old file or none, and hash them.

FIFOs, devices, and a shell's pipes, such as `>(gzip)`, can't be replaced and are written in place. An open descriptor,
such as `/dev/stdout`, is written at its current position, since opening it again would truncate a file.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from contextlib import suppress
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import NoReturn

from fastsam_engine.errors import OutputError

_DESCRIPTORS = (Path("/dev"), Path("/dev/fd"))
_DESCRIPTOR = re.compile(r"(?:/dev/fd|/proc/self/fd)/([0-9]{1,9})")
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_LONGEST_BYTES = 220  # of a name, which is longer while it is written; file systems allow 255


def check_writable(path: Path) -> None:
    """Check, before any work, that a file can be written at a path.

    Raises:
        OutputError: It is a folder, or its folder is missing or not writable.
    """
    if path.is_dir():
        raise OutputError(path, "expected a file, found a folder")
    if is_written_in_place(path):
        if not os.access(path, os.W_OK):
            raise OutputError(path, "it can't be written (Permission denied)")
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


def is_written_in_place(path: Path) -> bool:
    """Whether a path is written in place: a FIFO, a device, or a descriptor such as `/dev/stdout`."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    folder = path.absolute().parent
    is_descriptor = folder in _DESCRIPTORS or folder.is_relative_to("/proc")  # may refer to a regular file
    return is_descriptor or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_in_place(path: Path) -> FileIO:
    """Open a path that `is_written_in_place` for writing, or create a file.

    Raises:
        OSError: It can't be opened.
    """
    number = _STANDARD.get(path.as_posix())
    if number is None and (named := _DESCRIPTOR.fullmatch(path.as_posix())):
        number = int(named[1])
    return FileIO(path if number is None else os.dup(number), "w")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside its target and rename it. A link stays, and its target is replaced.

    Raises:
        OutputError: The file can't be written.
    """
    in_place = is_written_in_place(path)
    part = path if in_place else part_path(path)
    try:
        with BufferedWriter(open_in_place(part)) as file:
            file.write(data)
        if not in_place:
            part.replace(path.resolve())
    except BaseException as error:
        if not in_place:
            with suppress(OSError):  # if the folder is not accessible
                part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(path, f"it can't be written ({error.strerror})") from error
        raise


class PartFile:
    """A text file that is written beside its target and replaces it when finished.

    After an error it is removed, and writing and finishing have no effect.
    """

    def __init__(self, path: Path) -> None:
        """Create it.

        Args:
            path: The target.

        Raises:
            OutputError: It can't be created.
        """
        self._path = path
        self._in_place = is_written_in_place(path)
        self._part = path if self._in_place else part_path(path)
        try:
            self._file = TextIOWrapper(BufferedWriter(open_in_place(self._part)), encoding="utf-8")
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
        """Replace the target.

        Raises:
            OutputError: It can't be written.
        """
        if self._file.closed:
            return
        try:
            self._file.close()
            if not self._in_place:
                self._part.replace(self._path.resolve())
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> NoReturn:
        with suppress(OSError):  # closing writes the buffer, which may fail as well
            self._file.close()
        if not self._in_place:
            self._part.unlink(missing_ok=True)
        raise OutputError(self._path, f"it can't be written ({error.strerror})") from error


def part_path(path: Path) -> Path:
    """Path of the partial file that is written before it replaces `path`."""
    target = path.resolve()
    data = os.fsencode(target.name)
    name = target.name if len(data) <= _LONGEST_BYTES else hashlib.blake2b(data, digest_size=16).hexdigest()
    return target.with_name(f".{name}.{os.getpid()}.part")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
