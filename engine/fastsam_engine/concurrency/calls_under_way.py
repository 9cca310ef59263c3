"""Count the calls in progress on an object, so that closing it can wait for them."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastsam_engine.errors import ClosedError, ForkedError


class CallsUnderWay:
    """The calls in progress, on all threads, on an object that can be closed."""

    def __init__(self, what: str, fix: str) -> None:
        """Start without calls.

        Args:
            what: The object, such as `the session of yolov8n-seg`.
            fix: What to do after it was closed, for the error.
        """
        self._what, self._fix = what, fix
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._calls: Counter[int] = Counter()  # per thread
        self._closed = False
        self._release: Callable[[], None] | None = None  # until it has been called

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a call while it lasts.

        Raises:
            ClosedError: It was closed.
            ForkedError: This process is a fork of the one that opened it, so threads that hold locks are missing.
        """
        if os.getpid() != self._process:
            raise ForkedError(self._what)
        thread = threading.get_ident()
        with self._changed:
            self._calls[thread] += 1  # before the check, since a signal handler may close in between
        try:
            if self._closed and self._calls[thread] == 1:  # not a nested call of one that began before
                raise ClosedError(self._what, self._fix)
            yield
        finally:
            with self._changed:
                self._calls[thread] -= 1
                if not self._calls[thread]:
                    del self._calls[thread]
                if not self._calls:
                    self._release_once()
                    self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether further calls are refused."""
        return self._closed

    def close(self, release: Callable[[], None]) -> None:
        """Refuse further calls, wait for those in progress, and release their resources once.

        Inside a call on the same thread, for example in a signal handler, it can't wait: then the last call in progress
        releases the resources.

        Args:
            release: Called once, from the first `close`; other calls of `close` return after it. Not called in a fork
                of the process, which has none of the threads to wait for.
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
