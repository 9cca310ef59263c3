"""FilesSource: images, and videos among them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from fastsam_trt.errors import SourceUnreadableError, TruncatedSourceError
from fastsam_trt.picture import IMAGE_SUFFIXES, read_picture
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.health import SourceHealth
from fastsam_trt.sources.source import Source
from fastsam_trt.sources.video_file import VideoFile

_logger = logging.getLogger(__name__)

_VIDEO_SUFFIXES = frozenset({".asf", ".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm",
                             ".wmv"})  # fmt: skip


class FilesSource(Source):
    """Images, and videos among them, one file after the other. A file that can't be read is named at the end."""

    kind = "images"

    def __init__(self, name: str, paths: list[Path], vid_stride: int = 1) -> None:
        self._name = name
        self._stride = vid_stride
        self.files = tuple(paths)
        self.frames = None if any(map(is_video, paths)) else len(paths)
        self._health = SourceHealth()

    @property
    def health(self) -> SourceHealth:
        """Of all its videos together."""
        return self._health

    def __iter__(self) -> Iterator[Frame]:
        failures: list[SourceUnreadableError | TruncatedSourceError] = []
        for number, path in enumerate(self.files):
            if self._stopped:
                return
            try:
                for frame in self._read(number, path):
                    yield frame
                    if self._stopped:
                        return
            except (SourceUnreadableError, TruncatedSourceError) as error:
                if len(self.files) > 1:
                    _logger.warning("%s", error)
                failures.append(error)
        if self._stopped:
            return
        if len(self.files) == 1 and failures:
            raise failures[0]
        if failures:
            raise SourceUnreadableError(
                self._name, f"{len(failures)} of {len(self.files)} files can't be read, the first: {failures[0]}"
            )

    def _read(self, number: int, path: Path) -> Iterator[Frame]:
        if is_video(path):
            with VideoFile(str(path), path, self._stride) as video:
                before = self._health
                for frame in video:
                    self._health = before + video.health
                    yield frame
                self._health = before + video.health
        else:
            yield Frame(read_picture(path), number, str(path))


def is_image(path: Path) -> bool:
    """By its suffix."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_video(path: Path) -> bool:
    """By its suffix."""
    return path.suffix.lower() in _VIDEO_SUFFIXES
