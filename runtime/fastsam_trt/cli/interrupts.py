"""Interrupts: what Ctrl-C, SIGTERM and SIGHUP do while a command works, and before and after."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self, TypeAlias

from fastsam_trt.cli.signal_watch import HURRIED, SignalWatch

Handler: TypeAlias = Callable[[int, FrameType | None], Any]

INTERRUPTED = 130
"""Exit code."""

_ENDING = tuple(number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)))


class Interrupts(AbstractContextManager["Interrupts"]):
    """The first one ends the command, the second one ends it at once, later ones change nothing.

    The first is a KeyboardInterrupt, or in a `stopping` block a call; the second Ctrl-C or SIGTERM is always a
    KeyboardInterrupt, half a second later while files are being finished. Where that does not end the command within
    seconds, since the main thread is inside a library that does not return, the process ends without it.

    A terminal that goes away often sends SIGHUP twice, by the kernel and by the shell, so that a repeated one asks for
    no hurry. Signals that the process was started to ignore (`nohup`, a job in the background) stay ignored. On
    another thread than the main one nothing is changed, since only that one may.

    Attributes:
        came: Whether there was one.
        hurried: Whether there was a second one, or the first was not heeded in time.
    """

    def __init__(self) -> None:
        self.came = self.hurried = False
        self._presses = 0
        self._raised = self._raised_again = self._unblocked = self._over = False
        self._stop: Callable[[], None] | None = None
        self._is_finishing = False
        self._previous: dict[int, Any] = {}
        self._watch: SignalWatch | None = None

    def __enter__(self) -> Self:
        self._previous = install(self._take)
        if threading.current_thread() is threading.main_thread():
            self._watch = SignalWatch(_ENDING, self._unblock, INTERRUPTED)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over = True  # from now on none is raised
        if self._watch is not None:
            self._watch.close()
        for number, before in self._previous.items():
            signal.signal(number, before)

    @contextmanager
    def stopping(self, stop: Callable[[], None], *, finishing: bool = False) -> Iterator[None]:
        """Let the first interrupt in the block call a function, from the signal's handler, and raise nothing.

        A block that does not end within ten seconds after that, since the main thread waits for the reader of a pipe,
        say, is ended by a KeyboardInterrupt.

        Args:
            stop: What is called.
            finishing: Whether the block finishes files: it takes the time that it needs, and half a second after the
                second interrupt.
        """
        before = self._stop, self._is_finishing
        self._stop, self._is_finishing = stop, finishing
        try:
            yield
        finally:
            self._stop, self._is_finishing = before

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self.came = True
        self._presses += number in HURRIED
        if self._over:
            return
        if self._presses > 1 or self._unblocked:
            self.hurried = True
            if not (self._raised_again or (self._is_finishing and not self._unblocked)):
                self._raised_again = True
                raise KeyboardInterrupt
        elif self._stop is not None:
            self._stop()
        elif not self._raised:
            self._raised = True
            raise KeyboardInterrupt

    def _unblock(self) -> bool:
        """Raise a KeyboardInterrupt in the main thread, from the watch's; False: it is busy, and has its time."""
        if self._stop is None or (self._is_finishing and self._presses < 2):
            return False
        self._unblocked = True
        if hasattr(signal, "pthread_kill"):  # Windows has none, nor calls that are interrupted
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return True


def install(handler: Handler) -> dict[int, Any]:
    """Handle the signals that end a process, save those that it was started to ignore, from the main thread.

    Returns:
        The handlers of before, by signal.
    """
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            before = signal.getsignal(number)
            if before is not None and before is not signal.SIG_IGN:
                previous[number] = signal.signal(number, handler)
    return previous


def leave_at_once(_number: int, _frame: FrameType | None) -> NoReturn:
    """A handler for when no file is being written: before a command begins, and after it."""
    os._exit(INTERRUPTED)
