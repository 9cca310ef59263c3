"""Limit the time of work that nothing can interrupt, such as a question to a name server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def within(limit_s: float, work: Callable[[], T]) -> T:
    """Run work on a thread, and wait for its result for a limited time.

    Signal handlers run during the wait, also on the main thread. Work that takes longer goes on, and its result is
    dropped; the process does not wait for it at its end.

    Args:
        limit_s: How long to wait, s.
        work: The work; it must leave nothing open that a caller would have to close.

    Returns:
        What the work returns.

    Raises:
        TimeoutError: It has not ended in time.
        Exception: What the work raises.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again on the waiting thread
            outcome.set_exception(error)

    threading.Thread(target=run, name="limited work", daemon=True).start()
    return outcome.result(limit_s)
