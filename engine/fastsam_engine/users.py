"""Users: the calls that use something which can be closed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastsam_engine.errors import ClosedError, ForkedError


class Users:
    """The calls under way, on any thread, of an object that can be closed."""

    def __init__(self, what: str, mend: str) -> None:
        """Count none.

        Args:
            what: What is used, such as `the session of yolov8n-seg`.
            mend: What to do once it is closed.
        """
        self._what, self._mend = what, mend
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._count = 0
        self._closed = self._released = False

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a call while it lasts.

        Raises:
            ClosedError: It was closed.
            ForkedError: This process is a fork of the one that opened it: a thread that held a lock is not here.
        """
        if os.getpid() != self._process:
            raise ForkedError(self._what)
        with self._changed:
            if self._closed:
                raise ClosedError(self._what, self._mend)
            self._count += 1
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                if self._count == 0:
                    self._changed.notify_all()

    def close(self, release: Callable[[], None]) -> None:
        """Let no further call begin, wait for those under way, and release what they used, once.

        Args:
            release: Called by the first close; every close returns after it. Not in a fork of the process that opened
                it, which has none of the threads that would be waited for.
        """
        if os.getpid() != self._process:
            return
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._count == 0)
            if not self._released:
                self._released = True
                release()
