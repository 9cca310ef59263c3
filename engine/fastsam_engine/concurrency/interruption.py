"""Let Ctrl-C interrupt long calls of libraries."""

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
_POLL_S = 0.1  # signal handlers run between two waits, also on Windows


def interruptible(work: Callable[[threading.Event], T], cancel: Callable[[], object] = lambda: None) -> T:
    """Run long work so that an exception from a signal handler is raised soon.

    Signal handlers run on the main thread only, and not while it is inside a library. So on the main thread the work
    runs in a new thread, and an exception that interrupts the wait is raised once the work has stopped. A second
    interrupt is raised at once while the work goes on: a process that ends then must not free what the work uses.

    Args:
        work: Takes an event that is set when it shall stop early.
        cancel: Called on the waiting thread when the work shall stop early.

    Returns:
        What the work returns.

    Raises:
        BaseException: What the work raises, or what interrupted the wait.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        return work(stop)
    outcome: Future[T] = Future()
    finished = threading.Event()

    def run() -> None:
        try:
            outcome.set_result(work(stop))
        except BaseException as error:  # noqa: BLE001 - raised again on the waiting thread
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
    """Turn a KeyboardInterrupt into an error that names the build.

    Raises:
        BuildInterruptedError: A KeyboardInterrupt was raised inside.
    """
    try:
        yield
    except BuildInterruptedError:
        raise
    except KeyboardInterrupt as interrupt:
        raise BuildInterruptedError(graph) from interrupt


def _wait(thread: threading.Thread, finished: threading.Event) -> None:
    """Wait in steps, since after an interrupted `Thread.join` the thread counts as ended."""
    while not finished.wait(_POLL_S):
        if thread.ident is None:  # interrupted before it began
            return
