"""What a sink is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from fastsam_trt.results.result import Result
from fastsam_trt.sources import Frame


class Sink(ABC):
    """Takes results one after the other; a context manager that finishes its files.

    Attributes:
        wants_end: Whether its user asked for the end of the run. It goes on taking what is given to it.
    """

    wants_end: bool = False

    @abstractmethod
    def write(self, frame: Frame, result: Result) -> None:
        """Take the result of a frame."""

    def close(self) -> None:  # noqa: B027 - a sink may have nothing to finish
        """Finish what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
