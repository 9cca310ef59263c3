"""Waits for a condition, and signals that arrive while a test waits."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator


def until(met: Callable[[], object], within_s: float = 60.0) -> bool:
    """Wait for a condition, and return whether it was met in time."""
    end_s = time.monotonic() + within_s
    while not met():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.005)
    return True


@contextlib.contextmanager
def signal_after(seconds: float, handle: Callable[[], object]) -> Iterator[None]:
    """Call a function from a signal handler after some time; SIGALRM belongs to the guard against tests that hang."""
    before = signal.signal(signal.SIGUSR1, lambda *_: handle())
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGUSR1, before)
