"""Print a line per image of a run, and one per video among the images."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from fastsam_trt.results.result import Result
    from fastsam_trt.sources import Frame

_MOST_NAMES = 8  # of what was selected in a video, in one line


class FileLines(AbstractContextManager["FileLines"]):
    """Prints what was selected in each file, above a progress bar if there is one."""

    def __init__(self, *, quiet: bool) -> None:
        """Begin.

        Args:
            quiet: Whether to print nothing.
        """
        self._quiet = quiet
        self._video = ""
        self._frames = self._selected = 0
        self._names: Counter[str] = Counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end_video()

    def add(self, frame: Frame, result: Result) -> None:
        """Print the line of an image; count a frame of a video, whose line is printed at its end."""
        if self._quiet:
            return
        if frame.media_s is None:
            self._end_video()
            self._print(f"{frame.source}: {len(result)} of {len(result.segments)} segments: {_captions(result)}")
            return
        if frame.source != self._video:
            self._end_video()
            self._video = frame.source
        self._frames += 1
        self._selected += len(result)
        self._names.update(filter(None, result.display_names))

    def _end_video(self) -> None:
        if not self._frames:
            return
        from fastsam_trt.cli.summary import count

        names = [f"{name} {number}" for name, number in self._names.most_common(_MOST_NAMES)]
        more = ["..."] if len(self._names) > _MOST_NAMES else []
        found = f": {', '.join(names + more)}" if names else ""
        self._print(
            f"{self._video}: {count(self._frames, 'frame')}, {count(self._selected, 'selected segment')}{found}"
        )
        self._video, self._frames, self._selected = "", 0, 0
        self._names.clear()

    def _print(self, line: str) -> None:
        tqdm.write(line, file=sys.stdout)


def _captions(result: Result) -> str:
    from fastsam_trt.results.captions import captions

    return ", ".join(captions(result)) or "nothing selected"
