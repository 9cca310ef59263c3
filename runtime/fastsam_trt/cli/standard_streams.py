"""Standard streams that hold up: closed ones, terminals that lack a character or go away, stdout as an output."""

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


class _LastingTerminal(io.FileIO):
    """A terminal; what is written to it after it has gone away is dropped, since SIGHUP decides what that means."""

    def write(self, data: Buffer) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return memoryview(data).nbytes


def harden() -> None:
    """Make the process's standard streams fit for a long run; once, as the process begins.

    A closed stream becomes one to nowhere: else the next file that is opened would get its number, and with it what
    libraries print. A character that the terminal can't show is printed as its code.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout, sys.stderr = _harden(sys.stdout, 1), _harden(sys.stderr, 2)


def _harden(stream: TextIO | None, descriptor: int) -> TextIO:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if stream is None or stream.isatty():
        raw = _LastingTerminal(descriptor, "w", closefd=False)
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=True)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def tell(line: str) -> None:
    """Print a line on stderr, whether or not anybody can read it."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr)


def is_stdout(path: Path) -> bool:
    """Whether what is written to a path arrives at stdout."""
    if path == STDOUT:
        return True
    try:
        return os.path.samestat(path.stat(), os.fstat(_STDOUT))
    except OSError:
        return False


@contextmanager
def stdout_for(outputs: Iterable[Path]) -> Iterator[None]:
    """Print on stderr what would go to stdout, where one of the outputs is stdout."""
    if not any(map(is_stdout, outputs)):
        yield
        return
    sys.stdout.flush()
    with redirect_stdout(sys.stderr):
        yield


def duplicate_stdout() -> int:
    """A descriptor of its own for stdout, for an output to write to and to close."""
    return os.dup(_STDOUT)
