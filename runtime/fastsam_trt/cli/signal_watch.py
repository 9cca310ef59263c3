"""SignalWatch: a thread that learns of signals as they come.

Python runs their handlers on the main thread, and only between two of its own steps: not while a library compiles a
model, or waits for a device, there.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection

HURRIED = frozenset({signal.SIGINT, signal.SIGTERM})
"""Signals that ask for more hurry when they are repeated."""

_STUCK_S = 10.0  # from the first signal
_MOMENT_S = 0.5  # from the second, for files to be finished in
_AT_ONCE_S = 3.0  # from the second; files are whole up to the last frame whenever the process ends


class SignalWatch:
    """Ends the process where a repeated signal does not; made and closed by the main thread."""

    def __init__(self, numbers: Collection[int], unblock: Callable[[], bool], code: int) -> None:
        """Begin.

        Args:
            numbers: Signals that have a handler in Python, and end the process.
            unblock: Called ten seconds after the first of them, and half a second after the second, on the watch's
                thread: interrupts the main thread if it is stuck, and tells whether it was.
            code: Exit code of a process that the main thread does not end.
        """
        self._numbers, self._unblock, self._code = numbers, unblock, code
        self._signals, self._sending = socket.socketpair()
        self._sending.setblocking(False)
        self._before = signal.set_wakeup_fd(self._sending.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._run, name="signals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        signal.set_wakeup_fd(self._before)
        self._sending.close()
        self._thread.join()
        self._signals.close()

    def _run(self) -> None:
        hurried = 0
        unblock_s = end_s = math.inf  # on `time.monotonic`'s clock
        while True:
            left_s = min(unblock_s, end_s) - time.monotonic()
            self._signals.settimeout(None if left_s == math.inf else max(left_s, 1e-3))
            try:
                numbers = self._signals.recv(64)
            except TimeoutError:
                now_s = time.monotonic()
                if now_s >= end_s:
                    os._exit(self._code)
                if now_s >= unblock_s:
                    unblock_s = math.inf
                    if self._unblock():
                        end_s = min(end_s, now_s + _AT_ONCE_S)
                continue
            if not numbers:
                return
            now_s = time.monotonic()
            before, hurried = hurried, hurried + sum(number in HURRIED for number in numbers)
            if before < 2 <= hurried:
                unblock_s, end_s = now_s + _MOMENT_S, min(end_s, now_s + _AT_ONCE_S)
            elif any(number in self._numbers for number in numbers):
                unblock_s = min(unblock_s, now_s + _STUCK_S)
