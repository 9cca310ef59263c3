"""CallsUnderWay: the calls that use something which can be closed."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastsam_engine.errors import ClosedError, ForkedError


class CallsUnderWay:
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
        self._calls: Counter[int] = Counter()  # of each thread that has one
        self._closed = False
        self._release: Callable[[], None] | None = None  # what is yet to be done

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a call while it lasts.

        Raises:
            ClosedError: It was closed.
            ForkedError: This process is a fork of the one that opened it: a thread that held a lock is not here.
        """
        if os.getpid() != self._process:
            raise ForkedError(self._what)
        thread = threading.get_ident()
        with self._changed:
            self._calls[thread] += 1  # before the question: a signal's handler may close between the two
        try:
            if self._closed and self._calls[thread] == 1:  # not a call within one that was there before
                raise ClosedError(self._what, self._mend)
            yield
        finally:
            with self._changed:
                self._calls[thread] -= 1
                if not self._calls[thread]:
                    del self._calls[thread]
                if not self._calls:
                    self._release_once()
                    self._changed.notify_all()

    def close(self, release: Callable[[], None]) -> None:
        """Let no further call begin, wait for those under way, and release what they used, once.

        In the middle of a call of the same thread, as a signal's handler is, nothing can be waited for: the last call
        under way releases what it used then.

        Args:
            release: Called once, that of the first close; every other close returns after it. Not in a fork of the
                process that opened it, which has none of the threads that would be waited for.
        """
        if os.getpid() != self._process:
            return
        with self._changed:
            if not self._closed:
                self._closed, self._release = True, release
            if threading.get_ident() not in self._calls:
                self._changed.wait_for(lambda: not self._calls)
                self._release_once()

    def _release_once(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release()
