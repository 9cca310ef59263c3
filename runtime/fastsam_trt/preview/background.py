"""Run calls that would block the event loop on a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class BackgroundThread:
    """Calls functions one after the other, on a thread that does not hold up the end of the process.

    The event loop and the interpreter both wait for the threads of an executor, so none is used here.
    """

    def __init__(self, name: str) -> None:
        """Create it; the thread starts with the first call.

        Args:
            name: Name of the thread.
        """
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

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
            value, error = None, None
            try:
                value = function(*arguments)
            except BaseException as caught:  # noqa: BLE001 - raised where the outcome is awaited
                error = caught
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(set_outcome, value, error)

        if self._thread.ident is None:
            self._thread.start()
        self._calls.put(run_call)
        return await outcome

    def close(self, wait_s: float) -> None:
        """End the thread after the current call, and wait up to `wait_s` seconds for it."""
        self._calls.put(None)
        if self._thread.ident is not None:
            self._thread.join(wait_s)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # it refers to a frame
