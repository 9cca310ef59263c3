"""Errors of the runtime. Their bases, and those of models and backends, are in `fastsam_engine.errors`."""

from __future__ import annotations

from pathlib import Path

from fastsam_engine.errors import FastsamError, ModelNotFoundError, RequestError, WorkError, one_line


class SourceNotFoundError(RequestError, FileNotFoundError):
    """A source that is not there."""

    def __init__(self, source: str, expected: str, found: str = "nothing there") -> None:
        super().__init__(f"source {source!r}: expected {expected}, found {found}")


class SourceUnreadableError(WorkError, ValueError):
    """A source that is there and can't be read."""

    def __init__(self, source: str, found: str) -> None:
        super().__init__(f"source {source!r}: {found}")


class TruncatedSourceError(WorkError, EOFError):
    """A video that ended before its header says."""

    def __init__(self, source: str, read: int, promised: int) -> None:
        super().__init__(
            f"source {source!r} is cut short: expected {promised} frames, could read {read}; "
            "what could be read was processed"
        )


class SourceLostError(WorkError, ConnectionError):
    """A live source that was lost and did not come back in time."""

    def __init__(self, source: str, tried_s: float, found: str) -> None:
        super().__init__(
            f"source {source!r} is lost ({found}): expected it back within {tried_s:g} s; "
            "wait longer with --reconnect SECONDS  (inf: for ever; 0: end the run without an error)"
        )


class ImageFormatError(RequestError, ValueError):
    """An array that is no picture we take."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"expected a picture (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA of uint8 or uint16, found {found}"
        )


class PromptError(RequestError, ValueError):
    """A prompt that can't be used."""


class ClipNotFoundError(ModelNotFoundError):
    """A prompt needs CLIP, and there is no CLIP model."""

    def __init__(self, prompt: str, model: str, clip: str) -> None:
        RequestError.__init__(
            self,
            f"prompt {prompt!r} is no class of {model} and so needs CLIP; expected the CLIP model {clip!r}, "
            f"found none; make it with: fastsam-trt export {clip}  (the classes: fastsam-trt info {model})",
        )


class ComparedModelError(FastsamError, RuntimeError):
    """A model of a comparison that fails; its exit code is that of what it fails with."""

    def __init__(self, model: str, error: Exception) -> None:
        found = error if isinstance(error, FastsamError) else f"{type(error).__name__}: {one_line(error)}"
        super().__init__(f"model {model!r}: {found}")
        self.exit_code = error.exit_code if isinstance(error, FastsamError) else 1


class OptionError(RequestError, ValueError):
    """An option whose value is unknown or out of range."""

    def __init__(self, option: str, expected: str, found: object) -> None:
        super().__init__(f"{option}: expected {expected}, found {found!r}")


class ClassNamesFileError(RequestError, ValueError):
    """A file of class names that can't be used."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(
            f"names {path}: {found}; expected a text file with a name per line, or names as in a data.yaml or JSON"
        )


class OutputStoppedError(WorkError, OSError):
    """An output that took some frames and can't take the next."""

    def __init__(self, path: Path, frames: int, found: str) -> None:
        super().__init__(
            f"output {path}: expected room for more, found {found} after frame {frames}; "
            "what was written stays; make room, or write to another disk"
        )


class DisplayError(RequestError, OSError):
    """A window can't be shown."""

    def __init__(self, found: str) -> None:
        super().__init__(f"--show: expected a display to open a window on, found {found}; use --save OUT instead")


class PreviewError(RequestError, OSError):
    """The preview can't listen where it was asked to."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"--preview: expected {expected}, found {found}; use --preview HOST:PORT with another")


class ResultsFileError(RequestError, ValueError):
    """A file of benchmark results that can't be read."""

    def __init__(self, path: Path, expected: str, found: object) -> None:
        super().__init__(f"results {path}: expected {expected}, found {found}; write some with: fastsam-trt bench")


class ResultsLineError(ResultsFileError):
    """A line of results that is no JSON, or does not fit its kind or its run."""

    def __init__(self, path: Path, line: int, expected: str, found: object) -> None:
        RequestError.__init__(
            self, f"results {path}, line {line}: expected {expected}, found {found}; remove the line, or run it again"
        )


class ResultsSchemaError(ResultsFileError):
    """A line of results of another schema."""

    def __init__(self, path: Path, line: int, expected: str, found: object) -> None:
        RequestError.__init__(
            self,
            f"results {path}, line {line}: expected schema {expected}, found {found!r}; "
            "read it with the version of fastsam-trt that wrote it, or measure again with: fastsam-trt bench",
        )


class MarkersError(RequestError, ValueError):
    """A text without the place for the table of results."""

    def __init__(self, begin: str, end: str, found: str) -> None:
        super().__init__(f"expected one {begin} and one {end} after it, found {found}; put both where the table goes")


class GraphCountError(WorkError, ValueError):
    """A graph whose operations and bytes can't be counted."""

    def __init__(self, graph: str, expected: str, found: str) -> None:
        super().__init__(f"{graph}: expected {expected}, found {found}; its cost can't be counted")


class ChildFailedError(WorkError, RuntimeError):
    """A process of its own, for a measurement that needs one, that failed."""

    def __init__(self, what: str, found: str) -> None:
        super().__init__(f"a process for {what} failed: {found}")
