"""Handle Ctrl-C, SIGTERM and SIGHUP before, during and after a command."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self, TypeAlias

from fastsam_trt.cli.signal_watch import ESCALATING, SignalWatch

Handler: TypeAlias = Callable[[int, FrameType | None], Any]

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""

_ENDING = tuple(number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)))


def exit_code(number: int) -> int:
    """The exit code of a command that a signal ended, as shells report it: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + number


class Interrupts(AbstractContextManager["Interrupts"]):
    """Handles signals: the first ends the command, the second ends it at once, later ones are ignored.

    The first raises a KeyboardInterrupt, or calls a function in a `stopping` block. The second Ctrl-C or SIGTERM always
    raises a KeyboardInterrupt; while files are being finished, half a second later. If the command does not end then
    within seconds, because the main thread is inside a library call that does not return, the process exits anyway; and
    so it does ten seconds after the first signal, if that has not even reached the main thread.

    A closing terminal often causes SIGHUP twice, from the kernel and from the shell, so a repeated SIGHUP counts as
    one. Signals that the process ignores from its start (`nohup`, a background job) stay ignored. Outside the main
    thread nothing changes, because Python allows signal handlers there only.

    Attributes:
        received: Whether a signal came.
        hurried: Whether a second one came, or the first had no effect in time.
        code: Exit code of the command if it was interrupted: that of the first signal.
    """

    def __init__(self) -> None:
        self.received = self.hurried = False
        self.code = INTERRUPTED
        self._presses = 0
        self._handled = self._raised = self._raised_again = self._unblocked = self._over = False
        self._stop: Callable[[], None] | None = None
        self._is_finishing = False
        self._previous: dict[int, Any] = {}
        self._watch: SignalWatch | None = None

    def __enter__(self) -> Self:
        self._previous = install(self._handle)
        if threading.current_thread() is threading.main_thread():
            self._watch = SignalWatch(_ENDING, self._unblock, exit_code)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over = True  # from now on nothing is raised
        if self._watch is not None:
            self._watch.close()
        for number, before in self._previous.items():
            signal.signal(number, before)

    @contextmanager
    def stopping(self, stop: Callable[[], None], *, finishing: bool = False) -> Iterator[None]:
        """In this block, the first interrupt calls a function in the signal handler instead of raising.

        If the block does not end within ten seconds after that, for example because the main thread waits for the
        reader of a pipe, a KeyboardInterrupt ends it.

        Args:
            stop: The function.
            finishing: Whether the block finishes files: it then has as long as it needs, and half a second after the
                second interrupt.
        """
        before = self._stop, self._is_finishing
        self._stop, self._is_finishing = stop, finishing
        try:
            yield
        finally:
            self._stop, self._is_finishing = before

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if not self._handled:
            self._handled, self.code = True, exit_code(number)
        self.received = True
        self._presses += number in ESCALATING
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
        """Interrupt the main thread, called on the watch's thread; False: it still has time to finish.

        The main thread handles a signal between two bytecode instructions. If it has handled none, it is inside a
        library call, such as the compilation of a large model, and nothing but the end of the process ends that call.
        Only a file that is being finished is waited for.
        """
        if not (self._handled or self._is_finishing):
            self._unblocked = True
            return True
        if self._stop is None or (self._is_finishing and self._presses < 2):
            return False
        self._unblocked = True
        if hasattr(signal, "pthread_kill"):  # Windows has neither it nor interruptible calls
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return True


def install(handler: Handler) -> dict[int, Any]:
    """Install a handler for the signals that end a process, except ignored ones; only on the main thread.

    Returns:
        The previous handlers, by signal.
    """
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            before = signal.getsignal(number)
            if before is not None and before is not signal.SIG_IGN:
                previous[number] = signal.signal(number, handler)
    return previous


def exit_at_once(number: int, _frame: FrameType | None) -> NoReturn:
    """Exit at once: a handler for before and after a command, when no file is being written."""
    os._exit(exit_code(number))
