"""Sink: the base class of everything that takes results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from fastsam_trt.results.result import Result
from fastsam_trt.sources import Frame


class Sink(ABC):
    """Takes results one by one; a context manager that finishes its files at the end.

    Attributes:
        wants_end: Whether the user asked to end the run, as by closing a window. `write` still works afterwards.
    """

    wants_end: bool = False

    @abstractmethod
    def write(self, frame: Frame, result: Result) -> None:
        """Write the result of a frame."""

    def close(self) -> None:  # noqa: B027 - a sink may have nothing to finish
        """Finish open files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
