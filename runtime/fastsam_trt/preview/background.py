"""Background: a thread for what would hold up the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Calls functions one after the other, on a thread that neither `close` nor the end of the process waits for.

    An executor's threads are waited for: by the event loop's end, and by the interpreter's.
    """

    def __init__(self, name: str) -> None:
        """Prepare; the thread begins with the first call.

        Args:
            name: Of the thread.
        """
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function, and wait for what it returns or raises; from the event loop."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def settle(value: T | None, error: BaseException | None) -> None:
            if answer.done():  # nobody waits for it any more
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(value)  # type: ignore[arg-type]

        def work() -> None:
            value, error = None, None
            try:
                value = function(*arguments)
            except BaseException as caught:  # noqa: BLE001 - it is raised where the answer is awaited
                error = caught
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle, value, error)

        if self._thread.ident is None:
            self._thread.start()
        self._calls.put(work)
        return await answer

    def close(self, wait_s: float) -> None:
        """End the thread after the call that is going on, and wait so many seconds for that."""
        self._calls.put(None)
        if self._thread.ident is not None:
            self._thread.join(wait_s)

    def _run(self) -> None:
        while (work := self._calls.get()) is not None:
            work()
            del work  # which holds a frame
