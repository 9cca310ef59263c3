"""Closable: what holds memory until it is closed, and stays in the process that opened it."""

from __future__ import annotations

from typing import NoReturn, Self

from fastsam_engine.concurrency.calls_under_way import CallsUnderWay
from fastsam_engine.errors import NotSentError


class Closable:
    """An open model, or part of one; a context manager, which closes it.

    A subclass makes `_under_way`, and counts each of its calls there. It can be neither pickled nor copied.
    """

    _under_way: CallsUnderWay

    def close(self) -> None:
        """Give the memory back now, after the calls under way; a later call raises `ClosedError`.

        Any thread may close it, and a second time does nothing more. A signal's handler that closes it in the middle of
        a call of the same thread does not wait for that: the call ends whole, and gives the memory back.
        """
        self._under_way.close(self._release)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise NotSentError(type(self).__name__)

    def _release(self) -> None:
        """Give back what is held. Called once, when no call is under way, and none comes after."""
