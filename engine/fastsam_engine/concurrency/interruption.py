"""Interruption: Ctrl-C stops work that a library does in one long call, and says what it stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from fastsam_engine.errors import BuildInterruptedError

T = TypeVar("T")
_THREAD_NAME = "fastsam-trt build"
_POLL_S = 0.1  # signal handlers run between two waits, on Windows too


def interruptible(work: Callable[[threading.Event], T], cancel: Callable[[], object] = lambda: None) -> T:
    """Do work that holds its thread for long, so that an exception of a signal handler still gets through.

    Signal handlers run on the main thread only, and not while that is inside a library. So on the main thread the work
    gets a thread of its own, and what interrupts the wait for it comes out once the work has come back. A second
    interrupt comes out at once and leaves the work running: a process that ends then must not tear down what it uses.

    Args:
        work: Given an event that is set when it is to stop early.
        cancel: Called, on the thread that waits, when it is to stop early.

    Returns:
        What the work returns.

    Raises:
        BaseException: What the work raises, or what interrupted the wait for it.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        return work(stop)
    outcome: Future[T] = Future()
    finished = threading.Event()

    def run() -> None:
        try:
            outcome.set_result(work(stop))
        except BaseException as error:  # noqa: BLE001 - raised again on the thread that waits
            outcome.set_exception(error)
        finally:
            finished.set()

    thread = threading.Thread(target=run, name=_THREAD_NAME, daemon=True)
    try:
        thread.start()
        _wait(thread, finished)
    except BaseException:
        stop.set()
        cancel()
        _wait(thread, finished)
        raise
    return outcome.result()


@contextmanager
def named_interrupts(graph: Path) -> Iterator[None]:
    """Say of a KeyboardInterrupt which build it stopped.

    Raises:
        BuildInterruptedError: There was one.
    """
    try:
        yield
    except BuildInterruptedError:
        raise
    except KeyboardInterrupt as interrupt:
        raise BuildInterruptedError(graph) from interrupt


def _wait(thread: threading.Thread, finished: threading.Event) -> None:
    """Wait in steps; an interrupted `Thread.join` would take the thread for ended from then on."""
    while not finished.wait(_POLL_S):
        if thread.ident is None:  # interrupted before it began
            return
