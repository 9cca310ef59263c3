"""Lock a device's stream for one thread, and delay frees until the stream is not in use."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager


class StreamLock:
    """A reentrant lock, and the frees that wait until it is not in use.

    Python frees an object on the thread that drops it or, in garbage collection, on any thread: perhaps while this or
    another thread captures a CUDA graph. Then the free would become part of the graph, or the capture would fail. So
    objects hand their frees over to this lock, and a thread that holds it runs them before or after its own work.
    """

    def __init__(self, current: Callable[[], AbstractContextManager[None]]) -> None:
        """Make an unlocked lock.

        Args:
            current: A context in which the device is the calling thread's current one.
        """
        self._current = current
        self._lock = threading.RLock()
        self._depth = 0  # of `holding`; written by the thread that holds the lock
        self._frees: deque[Callable[[], object]] = deque()

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Hold the stream exclusively, with its device as the thread's current one."""
        try:
            with self._lock:
                self._depth += 1
                try:
                    with self._current():  # also when nested: another device may have been used in between
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
        """Take over a free, on any thread, also in garbage collection. Never waits, never raises.

        Args:
            free: Called once with the lock held, the device current and no capture running, and then dropped.
        """
        self._frees.append(free)
        self._free_if_idle()

    def _free_if_idle(self) -> None:
        """Run waiting frees, unless a thread holds the lock: that thread checks again after releasing it."""
        while self._frees and not sys.is_finalizing() and self._lock.acquire(blocking=False):
            try:
                if self._depth or not self._free_now():
                    return
            finally:
                self._lock.release()

    def _free_now(self) -> bool:
        """Run waiting frees; False: the device can't be made current any more."""
        self._depth = 1
        try:
            with self._current():
                self._free()
        except Exception:  # noqa: BLE001 - of another library, in garbage collection
            return False
        else:
            return True
        finally:
            self._depth = 0

    def _free(self) -> None:
        while self._depth == 1 and self._frees:
            with contextlib.suppress(Exception):  # for example after a GPU error, when nothing works any more
                self._frees.popleft()()
