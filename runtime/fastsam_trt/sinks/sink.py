"""What a sink is."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from fastsam_trt.result import Result
from fastsam_trt.sources import Frame


class Sink(Protocol):
    """Takes results one after the other; a context manager that finishes its files."""

    def write(self, frame: Frame, result: Result) -> None:
        """Take the result of a frame."""

    def __enter__(self) -> Sink: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
