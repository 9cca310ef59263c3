"""Errors of the benchmark."""

from __future__ import annotations

from pathlib import Path

from fastsam_engine.errors import RequestError, WorkError, brief
from fastsam_engine.spec.json_reader import shown


class ResultsFileError(RequestError, ValueError):
    """A file of benchmark results that can't be read."""

    def __init__(self, path: Path, expected: str, found: object) -> None:
        super().__init__(
            f"results {path}: expected {expected}, found {brief(str(found))}; write some with: fastsam-trt bench"
        )


class ResultsLineError(ResultsFileError):
    """A line of results that is not JSON, or does not fit its kind or its run."""

    def __init__(self, path: Path, line: int, expected: str, found: object) -> None:
        message = f"expected {expected}, found {brief(str(found))}"
        RequestError.__init__(self, f"results {path}, line {line}: {message}; remove the line, or run it again")


class ResultsSchemaError(ResultsFileError):
    """A line of results in another schema."""

    def __init__(self, path: Path, line: int, expected: str, found: object) -> None:
        RequestError.__init__(
            self,
            f"results {path}, line {line}: expected schema {expected}, found {shown(found)}; "
            "read it with the version of fastsam-trt that wrote it, or measure again with: fastsam-trt bench",
        )


class MarkersError(RequestError, ValueError):
    """A text without the markers for the table of results."""

    def __init__(self, begin: str, end: str, found: str) -> None:
        super().__init__(f"expected one {begin} and one {end} after it, found {found}; put both where the table goes")


class GraphCountError(WorkError, ValueError):
    """A graph whose operations and bytes can't be counted."""

    def __init__(self, graph: str, expected: str, found: str) -> None:
        super().__init__(f"{graph}: expected {expected}, found {found}; its cost can't be counted")


class ChildFailedError(WorkError, RuntimeError):
    """A separate process for a measurement that failed."""

    def __init__(self, what: str, found: str) -> None:
        super().__init__(f"a process for {what} failed: {found}")
