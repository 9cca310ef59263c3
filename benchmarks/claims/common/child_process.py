"""Run one side of a measurement in its own process: idle threads of one library slow down another."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.connection import Connection
from typing import Any, Self

from claims.common import harness


class Child:
    """A process that answers requests one after the other. A context manager, which ends the process."""

    def __init__(
        self,
        make: Callable[..., Callable[[Any], Any]],
        *args: Any,
        starting: AbstractContextManager[object] | None = None,
    ) -> None:
        """Start the process.

        Args:
            make: A function of a module. It is called in the process and returns the function that answers requests.
            args: Arguments of `make`; they are pickled.
            starting: Entered while the process starts, for example to restrict it to one CPU.
        """
        context = multiprocessing.get_context("spawn")
        self._connection, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end, make, args), daemon=True)
        with starting or nullcontext():
            self._process.start()
        far_end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.join()

    def ask(self, request: Any = None) -> Any:
        """Send a request and wait for the answer.

        Raises:
            BenchmarkError: The process failed.
        """
        try:
            self._connection.send(request)
            return self._connection.recv()
        except (EOFError, OSError):
            raise harness.BenchmarkError("a side can't run here; its own error is above") from None


def _serve(connection: Connection, make: Callable[..., Callable[[Any], Any]], args: tuple[Any, ...]) -> None:
    """Answer until the other end is closed."""
    answer = make(*args)
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        connection.send(answer(request))
