"""Errors of the runtime. Base classes and errors of models and backends are in `fastsam_engine.errors`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import ClassVar

from fastsam_engine.errors import FastsamError, ModelNotFoundError, RequestError, WorkError, brief, one_line
from fastsam_engine.import_names import renamed_names
from fastsam_engine.store.ready_models import how_to_get

__getattr__ = renamed_names(__name__, {"PictureSizeError": "ImageSizeError"})


class SourceNotFoundError(RequestError, FileNotFoundError):
    """A source does not exist."""

    def __init__(self, source: str, expected: str, found: str = "nothing there") -> None:
        super().__init__(f"source {source!r}: expected {expected}, found {found}")


class SourceUnreachableError(SourceNotFoundError, ConnectionError):
    """A stream or address does not answer, or its server is out of order.

    The request may be right: the same one may work later. So the exit code is that of work that failed.
    """

    exit_code = WorkError.exit_code

    def __init__(self, source: str, expected: str, found: str) -> None:
        super().__init__(source, expected, f"{found}; check its server, and the network")


class SourceTypeError(RequestError, TypeError):
    """An object that can't name a source."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"source: expected a str, a path or a camera number as an int, found {found}; "
            "for several files, give their folder or a glob"
        )


class SourceUnreadableError(WorkError, ValueError):
    """A source exists and can't be read."""

    def __init__(self, source: str, found: str) -> None:
        super().__init__(f"source {source!r}: {found}")


class ImageSizeError(SourceUnreadableError):
    """An image has more pixels than the limit."""

    def __init__(self, source: str, most_px: int, width: int, height: int) -> None:
        super().__init__(
            source,
            f"expected an image of at most {most_px / 1e6:g} million pixels, found {width} x {height}; "
            "scale it down, or split it into tiles",
        )


class FilesFailedError(SourceUnreadableError):
    """Some of many files or pages failed; raised after the others were processed."""

    def __init__(self, source: str, failed: int, total: int, noun: str, first: str, *, unreadable: bool) -> None:
        verb = "can't be read" if unreadable else "failed"
        super().__init__(source, f"{failed} of {total} {noun} {verb}, the first: {first}")


class AmbiguousSourceError(RequestError, ValueError):
    """A source name has two meanings."""

    def __init__(self, source: str, first: str, second: str) -> None:
        super().__init__(f"source {source!r}: expected a name with one meaning, found two; use {first}, or {second}")


class TruncatedSourceError(WorkError, EOFError):
    """A video ends before its container says so."""

    def __init__(self, source: str, read: int, promised: int | None) -> None:
        """Name the source, the frames that were read, and those that the container declares; None: unknown."""
        expected = "more frames" if promised is None else f"{promised} frames"
        super().__init__(
            f"source {source!r} is cut short: expected {expected}, found the end after {read}; these are processed"
        )


class SourceLostError(WorkError, ConnectionError):
    """A live source was lost and did not come back in time."""

    def __init__(self, source: str, tried_s: float, found: str) -> None:
        super().__init__(
            f"source {source!r} is lost ({found}): expected it back within {tried_s:g} s; "
            "wait longer with --reconnect SECONDS  (inf: for ever; 0: end the run without an error)"
        )


class ImageFormatError(RequestError, ValueError):
    """An array is not a supported image.

    Attributes:
        found, fix: What it is instead, and what to do; `fix` may be empty.
    """

    expected: ClassVar[str] = (
        "expected an image of shape (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA, uint8, uint16 or floats from "
        "0 to 1"
    )

    def __init__(self, found: str, fix: str = "") -> None:
        super().__init__(f"{self.expected}, found {found}{'; ' if fix else ''}{fix}")
        self.found, self.fix = found, fix


class TensorFormatError(ImageFormatError):
    """A tensor is not a supported image."""

    expected = (
        "expected a tensor of one image on the host, (C, H, W) or (H, W, C) with 1, 3 or 4 channels, or (H, W), uint8, "
        "uint16 or floats from 0 to 1"
    )


class ImageTypeError(ImageFormatError, TypeError):
    """An object of a type that is no image."""

    expected = "expected an image as a path, a NumPy array, a PIL image or a tensor, or a list of these"


class NotOneImageError(RequestError, ValueError):
    """A call got the name of a source that is not a single image."""

    def __init__(self, source: str, found: str) -> None:
        super().__init__(
            f"source {source!r}: expected one image, found {found}; iterate over pipeline.stream({source!r}), or use: "
            f"fastsam-trt run --video {shlex.quote(source)}"
        )


class PromptError(RequestError, ValueError):
    """A prompt is invalid, or contradicts another."""


class MasksTooLargeError(RequestError, MemoryError):
    """The masks of one frame would take too much memory."""

    def __init__(self, most_pixels: int, masks: int) -> None:
        super().__init__(
            f"expected masks of at most {most_pixels / 1e6:g} million pixels together, found more in {masks} segments; "
            "scale the image down, or select fewer: lower max_selected or iou, raise conf"
        )


class ClipNotFoundError(ModelNotFoundError):
    """A prompt needs CLIP, and there is no CLIP model."""

    def __init__(self, prompt: str, model: str, clip: str, hint: str = "") -> None:
        RequestError.__init__(
            self,
            f"prompt {prompt!r} is not a class of {model}, so it needs CLIP; {hint}{' ' if hint else ''}"
            f"expected the CLIP model {clip!r}, found none; {how_to_get(clip) or 'name one with --clip'}  "
            f"(list the classes: fastsam-trt info {model})",
        )


class ComparedModelError(FastsamError, RuntimeError):
    """A model of a comparison failed; the exit code is that of its error."""

    def __init__(self, model: str, error: Exception) -> None:
        found = error if isinstance(error, FastsamError) else f"{type(error).__name__}: {one_line(error)}"
        super().__init__(f"model {model!r}: {found}")
        self.exit_code = error.exit_code if isinstance(error, FastsamError) else 1


class OptionError(RequestError, ValueError):
    """An option has an unknown value, or one out of range."""

    def __init__(self, option: str, expected: str, found: object, hint: str = "") -> None:
        super().__init__(f"{option}: expected {expected}, found {found!r}{'; ' if hint else ''}{hint}")


class SegmentIndexError(RequestError, IndexError):
    """A result has no segments at an index."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"segments: expected {expected}, found {found}")


class SegmentIndexTypeError(RequestError, TypeError):
    """An object that can't select segments of a result."""

    def __init__(self, found: str, fix: str = "") -> None:
        super().__init__(
            f"segments: expected an int, a slice, or a list or array of bool or int, found {found}"
            f"{'; ' if fix else ''}{fix}"
        )


class ReleasedError(RequestError, RuntimeError):
    """Something of a result was read that is gone since `release`."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"expected {what} of a result, found it released; {fix}")


class FlowNotEnteredError(RequestError, RuntimeError):
    """A flow is used while its threads do not run."""

    def __init__(self, *, is_used: bool) -> None:
        expected, found = (
            ("a new flow", "one that was used before") if is_used else ("a flow in its with block", "it outside")
        )
        super().__init__(f"expected {expected}, found {found}; use: with Flow(source, pipeline) as flow")


class GroundTruthError(RequestError, ValueError):
    """Annotations can't provide the ids for a run."""

    def __init__(self, path: Path, expected: str, found: str) -> None:
        super().__init__(f"annotations {path}: expected {expected}, found {brief(found)}")


class ClassNamesFileError(RequestError, ValueError):
    """A file of class names is invalid."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(
            f"names {path}: {brief(found)}; use a text file with one name per line, JSON, or YAML such as a data.yaml"
        )


class OutputStoppedError(WorkError, OSError):
    """An output has some frames, and the next one can't be written."""

    def __init__(
        self,
        path: Path,
        frames: int,
        found: str,
        expected: str = "room for more",
        fix: str = "; make room, or write to another disk",
    ) -> None:
        super().__init__(
            f"output {path}: expected {expected}, found {found} after frame {frames}; earlier frames are saved{fix}"
        )


class OutputUnreadError(WorkError, BrokenPipeError):
    """A pipe has some frames, and its reader closed it."""

    def __init__(self, path: Path, frames: int) -> None:
        super().__init__(
            f"output {path}: expected its reader to stay open, found it closed after frame {frames}; "
            "keep the reader running, or write to a file"
        )


class DisplayError(RequestError, OSError):
    """A window can't be shown."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"expected a display for the window, found {found}; write a file instead: --save OUT, or result.save(path)"
        )


class ListenError(RequestError, OSError):
    """A server can't listen on its address."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"address: expected {expected}, found {found}; choose another address")


class PreviewError(ListenError):
    """The preview can't listen on its address."""

    def __init__(self, expected: str, found: str) -> None:
        RequestError.__init__(
            self, f"--preview: expected {expected}, found {found}; choose another address with --preview HOST:PORT"
        )


class ServeAddressError(ListenError):
    """The server can't listen on its address."""

    def __init__(self, expected: str, found: str) -> None:
        RequestError.__init__(
            self, f"serve: expected {expected}, found {found}; choose another with --host HOST or --port PORT"
        )


class TokenMissingError(RequestError, PermissionError):
    """Other machines could use a server without a token."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"serve: expected a token, since other machines can reach {host}, found none; "
            "set it with --token-file FILE or in FASTSAM_TRT_TOKEN, or let everyone in with --without-token"
        )
