"""Pipe: the bytes of a pipe, in order, for readers that look ahead, and that can be stopped while they wait."""

from __future__ import annotations

import os
import re
import select
import stat
import time
from pathlib import Path

from fastsam_trt.errors import SourceNotFoundError

STANDARD_INPUT = Path("/dev/fd/0")
"""What all names of standard input stand for."""

_STANDARD_INPUT_NAMES = frozenset({"-", "pipe:", "/dev/stdin"})
_DESCRIPTOR = re.compile(r"(?:pipe:|/dev/fd/|/proc/self/fd/)([0-9]{1,9})")
_CHUNK_B = 1 << 16
_LOOK_MS = 50  # how often a reader that waits looks whether it was stopped


class PeekableStream:
    """Bytes that come one after the other, and can be looked at before they are read."""

    def __init__(self) -> None:
        """Begin."""
        self._ahead = bytearray()

    def receive(self, size: int) -> bytes:
        """Bytes that were not looked at yet, at most so many; none at the end."""
        raise NotImplementedError

    def peek(self, size: int, start: int = 0) -> bytes:
        """The next bytes from a place among them on, to at least `size` where there are; they are read again later."""
        while len(self._ahead) < size:
            data = self.receive(max(size - len(self._ahead), _CHUNK_B))
            if not data:
                break
            self._ahead += data
        return bytes(memoryview(self._ahead)[start:])


class Pipe(PeekableStream):
    """The reading end of a pipe, as a file object without positions."""

    def __init__(self, descriptor: int) -> None:
        """Take over a file descriptor, which is closed with this."""
        super().__init__()
        self._descriptor = descriptor
        self._stopped = False
        self._poll = None
        if hasattr(select, "poll"):  # not on Windows, where who waits for a pipe can't be stopped
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLIN)
        self.began_s = time.perf_counter()
        """When the pipe was opened."""
        self.interrupt: BaseException | None = None
        """What interrupted a `read`: FFmpeg, which calls it, can't hand it on."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end, and where it was stopped."""
        if self._ahead:
            data = bytes(self._ahead[:size])
            del self._ahead[:size]
            return data
        try:
            return self.receive(size)
        except BaseException as error:  # noqa: BLE001 - raised by whoever called FFmpeg
            self.interrupt = error
            self._stopped = True  # FFmpeg tries again
            return b""

    def stop(self) -> None:
        """Let the bytes end here, from any thread or a signal's handler."""
        self._stopped = True

    def close(self) -> None:
        """Close the descriptor."""
        self._stopped = True
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def receive(self, size: int) -> bytes:
        """Bytes from the pipe itself; none at the end, and where it was stopped."""
        while not self._stopped:
            try:
                if self._poll is None or self._poll.poll(_LOOK_MS):
                    return os.read(self._descriptor, size)
            except BlockingIOError:  # another process shares the pipe, and was faster
                continue
        return b""


def name_in_files(source: str) -> str:
    """A source's name, that of standard input (`-`, `/dev/stdin`, `pipe:`) or a descriptor (`pipe:3`) as a path."""
    if source in _STANDARD_INPUT_NAMES:
        return STANDARD_INPUT.as_posix()
    descriptor = _DESCRIPTOR.fullmatch(source)
    return f"/dev/fd/{descriptor[1]}" if descriptor else source


def is_pipe(path: Path) -> bool:
    """Whether a path stands for what can only be read once and in order, rather than for a file."""
    descriptor = _find_descriptor(path)
    try:
        mode = (path.stat() if descriptor is None else os.fstat(descriptor)).st_mode
    except (OSError, ValueError):
        return descriptor is not None  # it is closed, which opening it says
    if descriptor is None:
        return stat.S_ISFIFO(mode)
    return os.name == "nt" or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_pipe(name: str, path: Path) -> Pipe:
    """Open what `is_pipe`; a FIFO without waiting for its writer.

    Args:
        name: What the user called it.
        path: Its path.

    Raises:
        SourceNotFoundError: It is closed, a terminal, or may not be read.
    """
    descriptor = _find_descriptor(path)
    if descriptor is not None and os.isatty(descriptor):
        found = "a terminal; send it some: cat clip.ts | fastsam-trt run --video -"
        raise SourceNotFoundError(name, "a video or image that is piped in", found)
    try:
        return Pipe(os.open(path, os.O_RDONLY | os.O_NONBLOCK) if descriptor is None else os.dup(descriptor))
    except OSError as error:
        raise SourceNotFoundError(name, "a pipe that can be read", f"none ({error.strerror})") from error


def _find_descriptor(path: Path) -> int | None:
    descriptor = _DESCRIPTOR.fullmatch(path.as_posix())
    return int(descriptor[1]) if descriptor else None
