"""FilesSource: images, and videos among them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from fastsam_engine.errors import FastsamError
from fastsam_trt.errors import FilesFailedError, SourceUnreadableError, TruncatedSourceError
from fastsam_trt.frames.image import as_bgr, read_image
from fastsam_trt.sources.found_file import FoundFile, look_into
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.health import SourceHealth
from fastsam_trt.sources.naming import printable
from fastsam_trt.sources.source import Source

_logger = logging.getLogger(__name__)


class FilesSource(Source):
    """Images, and videos among them, one file after the other; what a file is, its content says.

    Every page of a TIFF is an image, `scan.tif#1` and so on. A file of many that fails is told at once and passed over;
    the iteration ends with an error that counts them.
    """

    kind = "images"

    def __init__(self, name: str, paths: list[Path], vid_stride: int = 1) -> None:
        self._name = name
        self._stride = vid_stride
        self._found = [look_into(path) for path in paths]
        self.files = tuple(paths)
        self.frames = None if any(each.is_video for each in self._found) else sum(each.count for each in self._found)
        self._names = frozenset(map(printable, paths))
        self._failures = _Failures()
        self._health = SourceHealth()

    @property
    def health(self) -> SourceHealth:
        """Of all its videos together."""
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
        for found in self._found:
            name = printable(found.path)
            try:
                for frame in self._read(found, name, index):
                    if self._stopped:
                        return
                    yield frame
            except FastsamError as error:
                self._fail(name, error)
            if self._stopped:
                return
            index += 1 if found.is_video else found.count
        failure = self.failure
        if failure is not None:
            raise failure

    @property
    def _is_many(self) -> bool:
        return len(self.files) > 1 or (self.frames or 0) > 1

    def _read(self, found: FoundFile, name: str, index: int) -> Iterator[Frame]:
        found.check(name)
        if found.is_video:
            with found.open_video(name, self._stride) as video:
                before = self._health
                for frame in video:
                    self._health = before + video.health
                    yield frame
                self._health = before + video.health
        elif found.count > 1:
            yield from self._read_pages(found, name, index)
        else:
            yield Frame(read_image(found.path), index, name)

    def _read_pages(self, found: FoundFile, name: str, index: int) -> Iterator[Frame]:
        with found.open_pictures(name) as pages:
            for page in range(pages.count):
                page_name = f"{name}#{page + 1}"
                try:
                    picture = as_bgr(pages.read(page))
                except FastsamError as error:
                    self._fail(page_name, error)
                else:
                    yield Frame(picture, index + page, page_name)
            pages.check_end()

    def _fail(self, name: str, error: FastsamError, *, unreadable: bool = True) -> None:
        says_name = isinstance(error, SourceUnreadableError | TruncatedSourceError)
        text = str(error) if says_name else f"{name}: {error}"
        file = name if name in self._names or len(self.files) == 1 else name.rpartition("#")[0]
        if self._failures.add(name, file, error, text, unreadable=unreadable) and self._is_many:
            _logger.warning("%s", text)


class _Failures:
    """Files that failed, or pages of one; any thread may add one."""

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
        """Add a page or file, to be counted as that file; whether it is the first time."""
        with self._lock:
            new = name not in self._names
            self._names.add(name)
            self._counted.add(file)
            if self.error is None:
                self.error, self.first = error, text
            self.unreadable = self.unreadable and unreadable
            return new


def is_video(path: Path) -> bool:
    """Whether a file's frames are those of a video, by its content; of one that can't be read, by its name."""
    found = look_into(path, count=False)
    moves = found.content is not None and found.content.kind == "animation"
    return look_into(path).is_video if moves else found.is_video
