"""Users: the calls that use something which can be closed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastsam_engine.errors import ClosedError


class Users:
    """The calls under way, on any thread, of an object that can be closed."""

    def __init__(self, what: str, mend: str) -> None:
        """Count none.

        Args:
            what: What is used, such as `the session of yolov8n-seg`.
            mend: What to do once it is closed.
        """
        self._what, self._mend = what, mend
        self._changed = threading.Condition()
        self._count = 0
        self._closed = self._released = False

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a call while it lasts.

        Raises:
            ClosedError: It was closed.
        """
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
            release: Called by the first close; every close returns after it.
        """
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._count == 0)
            if not self._released:
                self._released = True
                release()
