"""Keep standard streams usable when they are closed or lost, or are an output."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer  # `collections.abc` has it from Python 3.12 on

_STDOUT = 1
STDOUT = Path("/dev/stdout")


class _Terminal(io.FileIO):
    """A terminal. Writes after it has closed are dropped, because the handler of SIGHUP decides what happens then."""

    def write(self, data: Buffer) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return memoryview(data).nbytes


def harden() -> None:
    """Make the standard streams robust; called once, at the start of the process.

    A closed stream is opened on the null device: otherwise the next file that is opened would get its descriptor, and
    with it the prints of libraries. A character that the terminal can't show is printed as an escape sequence.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor
    sys.stdout, sys.stderr = _harden(sys.stdout, 1), _harden(sys.stderr, 2)


def _harden(stream: TextIO | None, descriptor: int) -> TextIO:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if stream is None or stream.isatty():
        raw = _Terminal(descriptor, "w", closefd=False)
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=True)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def print_stderr(line: str) -> None:
    """Print a line on stderr, and ignore a stream that can't be written."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr)


def is_stdout(path: Path) -> bool:
    """Whether a path leads to stdout."""
    if path == STDOUT:
        return True
    try:
        return os.path.samestat(path.stat(), os.fstat(_STDOUT))
    except OSError:
        return False


@contextmanager
def stdout_for(outputs: Iterable[Path]) -> Iterator[None]:
    """Redirect prints from stdout to stderr if one of the outputs is stdout."""
    if not any(map(is_stdout, outputs)):
        yield
        return
    sys.stdout.flush()
    with redirect_stdout(sys.stderr):
        yield


def duplicate_stdout() -> int:
    """Duplicate the descriptor of stdout, for an output to write to and to close."""
    return os.dup(_STDOUT)
