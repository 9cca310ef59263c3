"""Define objects that hold memory until they are closed, and that can't be sent to another process."""

from __future__ import annotations

from typing import NoReturn, Self

from fastsam_engine.concurrency.calls_under_way import CallsUnderWay
from fastsam_engine.errors import NotPicklableError


class Closable:
    """An open model, or a part of one; also a context manager that closes it. It can't be pickled or copied.

    A subclass sets `_under_way` and counts its calls there.
    """

    _under_way: CallsUnderWay

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._under_way.closed

    def close(self) -> None:
        """Free the memory after the calls in progress; later calls raise `ClosedError`.

        Any thread may call it; a second call has no effect. In a signal handler, inside a call on the same thread, it
        does not wait: that call finishes normally and then frees the memory.
        """
        self._under_way.close(self._release)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise NotPicklableError(type(self).__name__)

    def _release(self) -> None:
        """Free all resources. Called once, when no call is in progress and none can follow."""
