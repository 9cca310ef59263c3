"""Pipe: read a pipe with look-ahead, in a way that another thread can stop."""

from __future__ import annotations

import os
import re
import select
import stat
import time
from pathlib import Path

from fastsam_trt.errors import SourceNotFoundError

STANDARD_INPUT = Path("/dev/fd/0")
"""The path that all names of standard input resolve to."""

_STANDARD_INPUT_NAMES = frozenset({"-", "pipe:", "/dev/stdin"})
_DESCRIPTOR = re.compile(r"(?:pipe:|/dev/fd/|/proc/self/fd/)([0-9]{1,9})")
_CHUNK_B = 1 << 16
_POLL_MS = 50  # how often a waiting reader checks whether it was stopped


class PeekableStream:
    """A stream of bytes with look-ahead."""

    def __init__(self) -> None:
        """Begin with an empty look-ahead buffer."""
        self._ahead = bytearray()

    def receive(self, size: int) -> bytes:
        """At most `size` bytes after the look-ahead buffer; empty at the end."""
        raise NotImplementedError

    def peek(self, size: int, start: int = 0) -> bytes:
        """The next bytes from `start` on, up to at least `size` if there are as many, without consuming them."""
        while len(self._ahead) < size:
            data = self.receive(max(size - len(self._ahead), _CHUNK_B))
            if not data:
                break
            self._ahead += data
        return bytes(memoryview(self._ahead)[start:])


class Pipe(PeekableStream):
    """The read end of a pipe, as a file object that can't seek."""

    def __init__(self, descriptor: int) -> None:
        """Take ownership of a file descriptor."""
        super().__init__()
        self._descriptor = descriptor
        self._stopped = False
        self._poll = None
        if hasattr(select, "poll"):  # not on Windows, where a waiting reader can't be stopped
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLIN)
        self.began_s = time.perf_counter()
        """When the pipe was opened."""
        self.interrupt: BaseException | None = None
        """The exception that interrupted a `read`: FFmpeg, which calls `read`, can't propagate it."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; empty at the end, and after `stop`."""
        if self._ahead:
            data = bytes(self._ahead[:size])
            del self._ahead[:size]
            return data
        try:
            return self.receive(size)
        except BaseException as error:  # noqa: BLE001 - raised by the caller of FFmpeg
            self.interrupt = error
            self._stopped = True  # FFmpeg reads again
            return b""

    def stop(self) -> None:
        """End the stream of bytes, from any thread or signal handler."""
        self._stopped = True

    def close(self) -> None:
        """Close the descriptor."""
        self._stopped = True
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def receive(self, size: int) -> bytes:
        """Bytes from the pipe itself; empty at the end, and after `stop`."""
        while not self._stopped:
            try:
                if self._poll is None or self._poll.poll(_POLL_MS):
                    return os.read(self._descriptor, size)
            except BlockingIOError:  # another process that shares the pipe was faster
                continue
        return b""


def name_in_files(source: str) -> str:
    """The name of a source, with names of standard input (`-`, `/dev/stdin`, `pipe:`) or descriptors as paths."""
    if source in _STANDARD_INPUT_NAMES:
        return STANDARD_INPUT.as_posix()
    descriptor = _DESCRIPTOR.fullmatch(source)
    return f"/dev/fd/{descriptor[1]}" if descriptor else source


def is_pipe(path: Path) -> bool:
    """Whether a path is a FIFO or descriptor that can only be read once and in order."""
    descriptor = _find_descriptor(path)
    try:
        mode = (path.stat() if descriptor is None else os.fstat(descriptor)).st_mode
    except (OSError, ValueError):
        return descriptor is not None  # a closed descriptor, which `open_pipe` reports
    if descriptor is None:
        return stat.S_ISFIFO(mode)
    return os.name == "nt" or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_pipe(name: str, path: Path) -> Pipe:
    """Open a pipe; a FIFO without waiting for its writer.

    Args:
        name: Name of the source, as given by the user.
        path: A path for which `is_pipe` holds.

    Raises:
        SourceNotFoundError: The pipe is closed, is a terminal, or can't be read.
    """
    descriptor = _find_descriptor(path)
    if descriptor is not None and os.isatty(descriptor):
        found = "a terminal; pipe a video in: cat clip.ts | fastsam-trt run --video -"
        raise SourceNotFoundError(name, "a video or image through a pipe", found)
    try:
        return Pipe(os.open(path, os.O_RDONLY | os.O_NONBLOCK) if descriptor is None else os.dup(descriptor))
    except OSError as error:
        raise SourceNotFoundError(name, "a readable pipe", f"none ({error.strerror})") from error


def _find_descriptor(path: Path) -> int | None:
    descriptor = _DESCRIPTOR.fullmatch(path.as_posix())
    return int(descriptor[1]) if descriptor else None
