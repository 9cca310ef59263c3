"""Errors of the runtime. Their bases, and those of models and backends, are in `fastsam_engine.errors`."""

from __future__ import annotations

from pathlib import Path

from fastsam_engine.errors import FastsamError, ModelNotFoundError, RequestError, WorkError, brief, one_line


class SourceNotFoundError(RequestError, FileNotFoundError):
    """A source that is not there."""

    def __init__(self, source: str, expected: str, found: str = "nothing there") -> None:
        super().__init__(f"source {source!r}: expected {expected}, found {found}")


class SourceTypeError(RequestError, TypeError):
    """What is no name of a source."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"source: expected a str, a path or the int of a camera, found {found}; "
            "name several files by their folder or a glob"
        )


class SourceUnreadableError(WorkError, ValueError):
    """A source that is there and can't be read."""

    def __init__(self, source: str, found: str) -> None:
        super().__init__(f"source {source!r}: {found}")


class PictureSizeError(SourceUnreadableError):
    """A picture that declares more pixels than are decoded."""

    def __init__(self, source: str, most_px: int, width: int, height: int) -> None:
        super().__init__(
            source,
            f"expected a picture of at most {most_px / 1e6:g} million pixels, found {width} x {height}; "
            "scale it down, or cut it into tiles",
        )


class FilesFailedError(SourceUnreadableError):
    """Some of many files, or pages, that failed; raised after the others."""

    def __init__(self, source: str, failed: int, total: int, noun: str, first: str, *, unreadable: bool) -> None:
        what = "can't be read" if unreadable else "failed"
        super().__init__(source, f"{failed} of {total} {noun} {what}, the first: {first}")


class AmbiguousSourceError(RequestError, ValueError):
    """A name that means two things."""

    def __init__(self, source: str, first: str, second: str) -> None:
        super().__init__(
            f"source {source!r}: expected a name that means one thing, found two; say {first}, or {second}"
        )


class TruncatedSourceError(WorkError, EOFError):
    """A video that breaks off before its container says that it ends."""

    def __init__(self, source: str, read: int, promised: int | None) -> None:
        """Say so.

        Args:
            source: The source.
            read: How many frames could be read.
            promised: How many it should have; None: not known.
        """
        expected = "more frames behind its end" if promised is None else f"{promised} frames"
        super().__init__(
            f"source {source!r} is cut short: expected {expected}, could read {read}; what could be read was processed"
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

    def __init__(self, prompt: str, model: str, clip: str, hint: str = "") -> None:
        RequestError.__init__(
            self,
            f"prompt {prompt!r} is no class of {model} and so needs CLIP; {hint}{' ' if hint else ''}"
            f"expected the CLIP model {clip!r}, found none; make it with: fastsam-trt export {clip}  "
            f"(the classes: fastsam-trt info {model})",
        )


class ComparedModelError(FastsamError, RuntimeError):
    """A model of a comparison that fails; its exit code is that of what it fails with."""

    def __init__(self, model: str, error: Exception) -> None:
        found = error if isinstance(error, FastsamError) else f"{type(error).__name__}: {one_line(error)}"
        super().__init__(f"model {model!r}: {found}")
        self.exit_code = error.exit_code if isinstance(error, FastsamError) else 1


class OptionError(RequestError, ValueError):
    """An option whose value is unknown or out of range."""

    def __init__(self, option: str, expected: str, found: object, hint: str = "") -> None:
        super().__init__(f"{option}: expected {expected}, found {found!r}{'; ' if hint else ''}{hint}")


class FlowNotEnteredError(RequestError, RuntimeError):
    """A flow whose threads do not run."""

    def __init__(self, found: str) -> None:
        super().__init__(f"expected a flow in a with block, found {found}; use: with Flow(source, pipeline) as flow")


class GroundTruthError(RequestError, ValueError):
    """Annotations that the ids of a run can't come from."""

    def __init__(self, path: Path, expected: str, found: str) -> None:
        super().__init__(f"annotations {path}: expected {expected}, found {brief(found)}")


class ClassNamesFileError(RequestError, ValueError):
    """A file of class names that can't be used."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(
            f"names {path}: {brief(found)}; "
            "expected a text file with a name per line, or names as in a data.yaml or JSON"
        )


class OutputStoppedError(WorkError, OSError):
    """An output that took some frames and can't take the next."""

    def __init__(
        self,
        path: Path,
        frames: int,
        found: str,
        expected: str = "room for more",
        mend: str = "; make room, or write to another disk",
    ) -> None:
        super().__init__(
            f"output {path}: expected {expected}, found {found} after frame {frames}; what was written stays{mend}"
        )


class OutputUnreadError(WorkError, BrokenPipeError):
    """A pipe that took some frames, and whose reader went away."""

    def __init__(self, path: Path, frames: int) -> None:
        super().__init__(
            f"output {path}: expected a reader, found that it went away after frame {frames}; "
            "keep the reader running, or write to a file"
        )


class DisplayError(RequestError, OSError):
    """A window can't be shown."""

    def __init__(self, found: str) -> None:
        super().__init__(f"--show: expected a display to open a window on, found {found}; use --save OUT instead")


class PreviewError(RequestError, OSError):
    """The preview can't listen where it was asked to."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"--preview: expected {expected}, found {found}; use --preview HOST:PORT with another")
