"""StreamLock: one thread at a time queues work on a device's stream, and what is dropped is freed when nobody does."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager


class StreamLock:
    """A lock that its thread may take again, and the frees that wait until it is not in use.

    Python frees an object on the thread that drops it, or on any thread when garbage is collected: perhaps while
    another thread, or this one, captures a CUDA graph. The stream would take the free into the graph, or the capture
    would break off. So objects only hand their frees over, and these are done by a thread that holds the lock and has
    not begun its work, or has finished it.
    """

    def __init__(self, current: Callable[[], AbstractContextManager[None]]) -> None:
        """Begin unlocked.

        Args:
            current: Makes the device the calling thread's, for as long as it is entered.
        """
        self._current = current
        self._lock = threading.RLock()
        self._depth = 0  # of `holding`; written by the thread that has the lock
        self._frees: deque[Callable[[], object]] = deque()

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Have the stream alone, and the device as the thread's."""
        try:
            with self._lock:
                self._depth += 1
                try:
                    with self._current():  # also within: another device may have been used in between
                        self._free()
                        try:
                            yield
                        finally:
                            self._free()
                finally:
                    self._depth -= 1
        finally:
            self._free_if_idle()

    def free(self, free: Callable[[], object]) -> None:
        """Take over what frees something; from any thread, within garbage collection too. Never waits, never raises.

        Args:
            free: Called once, with the lock held, the device current and no capture going on. What it holds goes then.
        """
        self._frees.append(free)
        self._free_if_idle()

    def _free_if_idle(self) -> None:
        """Free what waits, unless a thread is at work: that one looks again when it has let go of the lock."""
        while self._frees and not sys.is_finalizing() and self._lock.acquire(blocking=False):
            try:
                if self._depth or not self._free_now():
                    return
            finally:
                self._lock.release()

    def _free_now(self) -> bool:
        """Free what waits; False: the device can't be made current any more."""
        self._depth = 1
        try:
            with self._current():
                self._free()
        except Exception:  # noqa: BLE001 - of another library, within garbage collection
            return False
        else:
            return True
        finally:
            self._depth = 0

    def _free(self) -> None:
        while self._depth == 1 and self._frees:
            with contextlib.suppress(Exception):  # such as after an error of the GPU, when nothing works any more
                self._frees.popleft()()
