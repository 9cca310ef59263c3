"""FilesSource: a list of image files, and videos among them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from fastsam_engine.errors import FastsamError
from fastsam_trt.errors import FilesFailedError, SourceUnreadableError, TruncatedSourceError
from fastsam_trt.frames.image import as_bgr, read_image
from fastsam_trt.sources.files.source_file import SourceFile, inspect_file
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.health import SourceHealth
from fastsam_trt.sources.names import printable
from fastsam_trt.sources.source import Source

_logger = logging.getLogger(__name__)


class FilesSource(Source):
    """Images and videos, file by file. The kind of a file is detected by its content.

    Every page of a TIFF is an image: `scan.tif#1` and so on. If there are many files, one that fails is logged and
    skipped, and the iteration ends with an error that counts the failures.
    """

    kind = "images"

    def __init__(self, name: str, paths: list[Path], vid_stride: int = 1) -> None:
        self._name = name
        self._stride = vid_stride
        self._sources = [inspect_file(path) for path in paths]
        self.files = tuple(paths)
        self.frames = (
            None if any(file.is_video for file in self._sources) else sum(file.count for file in self._sources)
        )
        self._names = frozenset(map(printable, paths))
        self._failures = _Failures()
        self._health = SourceHealth()

    @property
    def health(self) -> SourceHealth:
        """The sums over all videos."""
        return self._health

    @property
    def failed(self) -> int:
        return self._failures.count

    @property
    def failure(self) -> FastsamError | None:
        failures, several = self._failures, len(self.files) > 1
        if failures.error is None or not self._is_many:
            return failures.error
        total, noun = (len(self.files), "files") if several else (self.frames or 0, "pages")
        return FilesFailedError(self._name, failures.count, total, noun, failures.first, unreadable=failures.unreadable)

    def reject(self, frame: Frame, error: FastsamError) -> bool:
        if not self._is_many:
            return False
        self._fail(frame.source, error, unreadable=False)
        return True

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for file in self._sources:
            name = printable(file.path)
            try:
                for frame in self._read(file, name, index):
                    if self._stopped:
                        return
                    yield frame
            except FastsamError as error:
                self._fail(name, error)
            if self._stopped:
                return
            index += 1 if file.is_video else file.count
        failure = self.failure
        if failure is not None:
            raise failure

    @property
    def _is_many(self) -> bool:
        return len(self.files) > 1 or (self.frames or 0) > 1

    def _read(self, file: SourceFile, name: str, index: int) -> Iterator[Frame]:
        file.check(name)
        if file.is_video:
            with file.open_video(name, self._stride) as video:
                before = self._health
                for frame in video:
                    self._health = before + video.health
                    yield frame
                self._health = before + video.health
        elif file.count > 1:
            yield from self._read_pages(file, name, index)
        else:
            yield Frame(read_image(file.path), index, name)

    def _read_pages(self, file: SourceFile, name: str, index: int) -> Iterator[Frame]:
        with file.open_images(name) as pages:
            for page in range(pages.count):
                page_name = f"{name}#{page + 1}"
                try:
                    image = as_bgr(pages.read(page))
                except FastsamError as error:
                    self._fail(page_name, error)
                else:
                    yield Frame(image, index + page, page_name)
            pages.check_end()

    def _fail(self, name: str, error: FastsamError, *, unreadable: bool = True) -> None:
        has_name = isinstance(error, SourceUnreadableError | TruncatedSourceError)
        text = str(error) if has_name else f"{name}: {error}"
        file = name if name in self._names or len(self.files) == 1 else name.rpartition("#")[0]
        if self._failures.add(name, file, error, text, unreadable=unreadable) and self._is_many:
            _logger.warning("%s", text)


class _Failures:
    """Files, or pages of a file, that failed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: set[str] = set()
        self._counted: set[str] = set()
        self.error: FastsamError | None = None
        self.first = ""
        self.unreadable = True

    @property
    def count(self) -> int:
        return len(self._counted)

    def add(self, name: str, file: str, error: FastsamError, text: str, *, unreadable: bool) -> bool:
        """Add a file, or a page that counts as `file`. Returns whether `name` is new."""
        with self._lock:
            new = name not in self._names
            self._names.add(name)
            self._counted.add(file)
            if self.error is None:
                self.error, self.first = error, text
            self.unreadable = self.unreadable and unreadable
            return new


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its content; by its name if it can't be read."""
    file = inspect_file(path, count=False)
    is_animation = file.content is not None and file.content.kind == "animation"
    return inspect_file(path).is_video if is_animation else file.is_video
