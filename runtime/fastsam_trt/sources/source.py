"""Source: what every kind of source has in common."""

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

_TRACKED_FPS = 8.0  # below, what moves leaves its own box from one frame to the next


class Source(AbstractContextManager["Source"]):
    """Frames in order. Use it as a context manager: it holds files or devices open.

    Attributes:
        kind: `images`, `video` (a file, or a pipe: every frame in order) or `live` (a camera or stream).
        frames: How many frames to expect; None where it is not known.
        fps: Frame rate of a video; None for images, or where it is not known.
        sound: The file whose sound belongs to the frames; None where there is none.
        files: The images, and videos among them, of the kind `images`; else none. `Frame.source` names them, with its
            page where a file has several, as `names.printable` shows the path.
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
            SourceUnreadableError: One or more files can't be read; raised after the readable ones.
            TruncatedSourceError: A video ended early; raised after its last readable frame.
            SourceLostError: A live source was lost and did not come back in time.
        """
        raise NotImplementedError

    @property
    def continuous(self) -> bool:
        """Whether its frames follow one another closely enough for objects to be tracked through them."""
        return self.kind != "images" and (self.fps is None or self.fps >= _TRACKED_FPS)

    @property
    def end_s(self) -> float | None:
        """Where its last frame ends in a recording of it, on the scale of `Frame.media_s`; readable from any thread.

        Frames that were left out count. None where it is not known, as before the end of a file.
        """
        return None

    @property
    def health(self) -> SourceHealth:
        """What went wrong so far; readable from any thread."""
        return SourceHealth()

    @property
    def failed(self) -> int:
        """How many of its files failed so far; readable from any thread."""
        return 0

    @property
    def failure(self) -> FastsamError | None:
        """What is raised at the end for files that failed; None where none did."""
        return None

    def reject(self, frame: Frame, error: FastsamError) -> bool:
        """Take note of a frame that can't be worked on, from any thread.

        Returns:
            Whether the run goes on without it, as it does where a source is many images.
        """
        return False

    def stop(self) -> None:
        """End the iteration without an error, from any thread or a signal's handler; for good.

        Files end after the frame that is being read. A live source ends at once, also while it waits for a frame or to
        try again.
        """
        self._stopped = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files and devices."""
