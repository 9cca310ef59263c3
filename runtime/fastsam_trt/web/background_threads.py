"""BackgroundThreads: run calls that would block the event loop on threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class BackgroundThreads:
    """Calls functions in order, on threads that do not hold up the end of the process.

    The event loop and the interpreter both wait for the threads of an executor, so none is used here. A call whose
    caller was cancelled before it began is left out.

    Attributes:
        waiting: Number of calls that have not begun.
    """

    def __init__(self, name: str, count: int = 1) -> None:
        """Create it; the threads start with the first call.

        Args:
            name: Name of the threads.
            count: How many calls run at a time.
        """
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for _ in range(count)]
        self._started = False

    @property
    def waiting(self) -> int:
        """Number of calls that have not begun."""
        return self._calls.qsize()

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function and await its result or its error; for the event loop."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def set_outcome(value: T | None, error: BaseException | None) -> None:
            if outcome.done():  # the caller was cancelled
                return
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(value)  # type: ignore[arg-type]

        def run_call() -> None:
            if outcome.done():
                return
            value, error = None, None
            try:
                value = function(*arguments)
            except BaseException as caught:  # noqa: BLE001 - raised where the outcome is awaited
                error = caught
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(set_outcome, value, error)

        self._start()
        self._calls.put(run_call)
        return await outcome

    def close(self, wait_s: float) -> None:
        """End the threads after the current calls, and wait up to `wait_s` seconds for them."""
        for _ in self._threads:
            self._calls.put(None)
        end_s = time.monotonic() + wait_s
        for thread in self._threads if self._started else ():
            thread.join(max(end_s - time.monotonic(), 0.0))

    def _start(self) -> None:
        if not self._started:
            self._started = True
            for thread in self._threads:
                thread.start()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # it refers to a frame
