"""Progress on a terminal: what is being done, and how far a run has come. Nothing is shown elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from fastsam_trt.sources import Frame, Source
    from fastsam_trt.streaming import Flow

_STATISTICS_EVERY_S = 0.5


def activity(text: str, *, quiet: bool) -> tqdm[Any]:
    """A line with what is being done, which disappears at the end of its `with` block.

    Args:
        text: What is done first; `set_description_str` replaces it.
        quiet: Whether to show nothing.
    """
    return tqdm(desc=text, bar_format="{desc} {elapsed}", disable=_disabled(quiet=quiet), leave=False, file=sys.stderr)


class RunProgress(AbstractContextManager["RunProgress"]):
    """The progress bar of a run.

    It counts images, or files if there are videos among them, or the frames of a video or live source, with statistics
    beside them.
    """

    def __init__(self, source: Source, flow: Flow, *, quiet: bool) -> None:
        """Show the bar.

        Args:
            source: The source of the run.
            flow: Its frames.
            quiet: Whether to show nothing.
        """
        from fastsam_trt.sources.names import printable

        self._flow = flow
        self._by_file = source.kind == "images" and source.frames is None
        self._positions = {printable(path): position for position, path in enumerate(source.files)}
        self._has_statistics = source.kind != "images"
        self._shown_s = time.perf_counter()
        self._video = "", 0  # name and number of frames of the video among the files
        total = source.frames if flow.policy == "every" else None  # how many will be dropped is unknown
        unit = " files" if self._by_file else " images" if source.kind == "images" else " frames"
        self._bar: tqdm[Any] = tqdm(
            total=len(source.files) if self._by_file else total,
            unit=unit,
            disable=_disabled(quiet=quiet),
            leave=False,
            file=sys.stderr,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()

    def count(self, frame: Frame) -> None:
        """Count a frame that is written."""
        if self._bar.disable:
            return
        if self._by_file:
            self._show_file(frame)
            return
        if self._has_statistics and time.perf_counter() - self._shown_s > _STATISTICS_EVERY_S:
            from fastsam_trt.cli import summary

            self._shown_s = time.perf_counter()
            self._bar.set_postfix_str(summary.live(self._flow.stats.snapshot()), refresh=False)
        self._bar.update()

    def _show_file(self, frame: Frame) -> None:
        name = frame.source if frame.source in self._positions else frame.source.rpartition("#")[0]  # of a page
        is_video = frame.media_s is not None
        before, frames = self._video
        self._video = name, frames + 1 if name == before else 1
        text = f"{Path(name).name}: {self._video[1]} frames" if is_video else ""
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(self._positions.get(name, 0) + (not is_video) - self._bar.n)


def _disabled(*, quiet: bool) -> bool | None:
    return True if quiet else None  # None: unless the stream is a terminal
