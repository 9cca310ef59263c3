"""Source: the base class of all sources of frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Literal

from fastsam_engine.errors import FastsamError
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.health import SourceHealth

Kind = Literal["images", "video", "live"]

_TRACKED_FPS = 8.0  # at a lower rate, boxes of moving objects no longer overlap from frame to frame


class Source(AbstractContextManager["Source"]):
    """An iterable of frames in order. Use it as a context manager: it holds files or devices open.

    Attributes:
        kind: `images`, `video` (a file or a pipe: every frame in order) or `live` (a camera or stream).
        frames: Expected number of frames; None if unknown.
        fps: Frame rate of a video; None for images, or if unknown.
        sound: The file whose sound belongs to the frames; None if there is none.
        files: The images, and videos among them, for the kind `images`; else empty. `Frame.source` is their path as
            `names.printable` shows it, with the page for files of several pages.
    """

    kind: Kind
    frames: int | None = None
    fps: float | None = None
    sound: Path | None = None
    files: tuple[Path, ...] = ()
    _stopped = False

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames.

        Raises:
            SourceUnreadableError: Files can't be read; raised after the frames of the others.
            TruncatedSourceError: A video ends early; raised after its last readable frame.
            SourceLostError: A live source was lost and did not come back in time.
        """
        raise NotImplementedError

    @property
    def continuous(self) -> bool:
        """Whether frames follow each other closely enough to track objects."""
        return self.kind != "images" and (self.fps is None or self.fps >= _TRACKED_FPS)

    @property
    def end_s(self) -> float | None:
        """The media time at which the last frame ends, as in `Frame.media_s`; readable from any thread.

        Skipped frames count. None if unknown, as before the end of a file.
        """
        return None

    @property
    def health(self) -> SourceHealth:
        """Problems so far; readable from any thread."""
        return SourceHealth()

    @property
    def failed(self) -> int:
        """Number of files that have failed so far; readable from any thread."""
        return 0

    @property
    def failure(self) -> FastsamError | None:
        """The error that the iteration ends with if files failed; None if none did."""
        return None

    def reject(self, frame: Frame, error: FastsamError) -> bool:
        """Report a frame that can't be processed, from any thread.

        Returns:
            Whether the run continues without it, as for a source of many images.
        """
        return False

    def stop(self) -> None:
        """End the iteration without an error, permanently, from any thread or signal handler.

        Files end after the frame that is being read. A live source ends at once, even while it waits for a frame or a
        reconnection.
        """
        self._stopped = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release files and devices."""
