"""Watch for signals on a thread, which sees them as soon as they arrive.

Python runs signal handlers on the main thread, between two bytecode instructions: not while a library compiles a model
or waits for a device there.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection

ESCALATING = frozenset({signal.SIGINT, signal.SIGTERM})
"""Signals that end the command at once when repeated."""

_STUCK_S = 10.0  # after the first signal
_FINISH_S = 0.5  # after the second, to finish files
_EXIT_S = 3.0  # after the second; the files hold all frames but the last whenever the process exits


class SignalWatch:
    """Ends the process if a repeated signal does not; created and closed on the main thread."""

    def __init__(self, numbers: Collection[int], unblock: Callable[[], bool], exit_code: Callable[[int], int]) -> None:
        """Start the thread.

        Args:
            numbers: Signals that have a Python handler and end the process.
            unblock: Called on the watch's thread, ten seconds after the first signal and half a second after the
                second: interrupts the main thread if it is stuck, and returns whether it was.
            exit_code: Returns the exit code for the first signal, if the main thread does not end the process.
        """
        self._numbers, self._unblock, self._exit_code = numbers, unblock, exit_code
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
        urgent = first = 0
        unblock_s = end_s = math.inf  # on `time.monotonic`'s clock
        while True:
            remaining_s = min(unblock_s, end_s) - time.monotonic()
            self._signals.settimeout(None if remaining_s == math.inf else max(remaining_s, 1e-3))
            try:
                numbers = self._signals.recv(64)
            except TimeoutError:
                now_s = time.monotonic()
                if now_s >= end_s:
                    os._exit(self._exit_code(first))
                if now_s >= unblock_s:
                    unblock_s = math.inf
                    if self._unblock():
                        end_s = min(end_s, now_s + _EXIT_S)
                continue
            if not numbers:
                return
            now_s = time.monotonic()
            first = first or next((number for number in numbers if number in self._numbers), 0)
            before, urgent = urgent, urgent + sum(number in ESCALATING for number in numbers)
            if before < 2 <= urgent:
                unblock_s, end_s = now_s + _FINISH_S, min(end_s, now_s + _EXIT_S)
            elif any(number in self._numbers for number in numbers):
                unblock_s = min(unblock_s, now_s + _STUCK_S)
