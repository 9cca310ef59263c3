"""Apart: a side of a measurement in a process of its own, since idle threads of one library slow another down."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.connection import Connection
from typing import Any, Self

from claims.common import harness


class Apart:
    """A process that answers requests one after the other; a context manager, which ends it."""

    def __init__(
        self,
        make: Callable[..., Callable[[Any], Any]],
        *given: Any,
        starting: AbstractContextManager[object] | None = None,
    ) -> None:
        """Start it.

        Args:
            make: A function of a module, called there: makes what answers.
            given: What `make` is given; it is pickled.
            starting: Held while the process starts, such as to keep it to one CPU.
        """
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, make, given), daemon=True)
        with starting or nullcontext():
            self._process.start()
        there.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._here.close()
        self._process.join()

    def ask(self, what: Any = None) -> Any:
        """Send a request, and wait for its answer.

        Raises:
            BenchmarkError: The process failed.
        """
        try:
            self._here.send(what)
            return self._here.recv()
        except (EOFError, OSError):
            raise harness.BenchmarkError("a side can't run here; its own error is above") from None


def _serve(there: Connection, make: Callable[..., Callable[[Any], Any]], given: tuple[Any, ...]) -> None:
    """Answer until the other end is closed."""
    answer = make(*given)
    while True:
        try:
            asked = there.recv()
        except EOFError:
            return
        there.send(answer(asked))
