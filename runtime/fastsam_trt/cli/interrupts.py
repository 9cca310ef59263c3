"""Interrupts of a run: the first lets what has begun come out, so that files end with a whole frame."""

from __future__ import annotations

import signal
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any, Self

from fastsam_trt.flow import Flow


class Interrupts(AbstractContextManager["Interrupts"]):
    """Turns the first Ctrl-C or SIGTERM into `Flow.stop`; the second is a KeyboardInterrupt. For the main thread.

    Attributes:
        came: Whether there was one.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._previous: dict[int, Any] = {}
        self.came = False

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if handler is not None and handler is not signal.SIG_IGN:  # a job in the background ignores Ctrl-C
                self._previous[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        again, self.came = self.came, True
        if again:
            raise KeyboardInterrupt
        self._flow.stop()
