"""Interrupts of a run: the first lets what has begun come out, so that files end with a whole frame."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

if TYPE_CHECKING:
    from fastsam_trt.flow import Flow

Handler: TypeAlias = Callable[[int, FrameType | None], Any]

_HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none
_ENDING = tuple(number for number in (signal.SIGINT, signal.SIGTERM, _HANGUP) if number is not None)


class Interrupts(AbstractContextManager["Interrupts"]):
    """Turns Ctrl-C, SIGTERM and SIGHUP into `Flow.stop`; a second Ctrl-C or SIGTERM is a KeyboardInterrupt.

    A terminal that goes away often sends SIGHUP twice, by the kernel and by the shell, so that a repeated one asks for
    no hurry. Signals that the process was started to ignore (`nohup`, a job in the background) stay ignored.

    Attributes:
        came: Whether there was one.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._handling = handled(self._take)
        self._asked = False
        self.came = False

    def __enter__(self) -> Self:
        self._handling.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handling.__exit__(None, None, None)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self.came = True
        if number != _HANGUP:
            again, self._asked = self._asked, True
            if again:
                raise KeyboardInterrupt
        self._flow.stop()


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Handle the signals that end a process, save those that it was started to ignore.

    On another thread than the main one nothing is changed, since only that one may.
    """
    previous: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            before = signal.getsignal(number)
            if before is not None and before is not signal.SIG_IGN:
                previous[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


def interrupt(number: int, _frame: FrameType | None) -> None:
    """A handler that ends by KeyboardInterrupt, so that files are finished; later SIGHUPs do not disturb that.

    Raises:
        KeyboardInterrupt: Always.
    """
    if number == _HANGUP:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
