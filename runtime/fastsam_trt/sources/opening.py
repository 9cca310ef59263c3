"""Sources: where frames come from, named as users of the field name them.

cam0, 0, /dev/video0          a camera
rtsp://, rtmp://, http://, tcp://, udp://   a stream
clip.mp4                      a video, every frame in order
demo                          coloured shapes that move, drawn on the spot
photo.jpg, folder/, *.jpg     images (a folder or glob may hold videos too), sorted by name
"""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.errors import OptionError, SourceNotFoundError, SourceUnreadableError, TruncatedSourceError
from fastsam_trt.picture import IMAGE_SUFFIXES, as_bgr, read_picture

_logger = logging.getLogger(__name__)

Kind = Literal["images", "video", "live"]

DEMO = "demo"
"""The source that needs no file."""

_VIDEO_SUFFIXES = frozenset({".asf", ".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm",
                             ".wmv"})  # fmt: skip
# FFmpeg opens files of these names as videos of a terminal that prints them.
_TEXT_SUFFIXES = frozenset({".ans", ".art", ".asc", ".diz", ".ice", ".nfo", ".txt", ".vt"})
_OPEN_TIMEOUT_MS = 10_000
_HEADER_SLACK = 2  # frames by which a header's count may be off, being a duration times a rate


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame and where it comes from.

    Attributes:
        picture: (H, W, 3) uint8 BGR.
        index: Number of the frame in its video or stream, or of the image in the run, from 0.
        source: The file, camera or address.
    """

    picture: NDArray[np.uint8]
    index: int
    source: str


class Source(AbstractContextManager["Source"]):
    """Frames in order. Use it as a context manager: it holds files or devices open.

    Attributes:
        kind: `images`, `video` (a file) or `live` (a camera or stream).
        frames: How many frames to expect; None where it is not known.
        fps: Frame rate of a video; None for images, or where it is not known.
        files: The images, and videos among them, of the kind `images`, named as `Frame.source` names them; else none.
    """

    kind: Kind
    frames: int | None = None
    fps: float | None = None
    files: tuple[Path, ...] = ()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames.

        Raises:
            SourceUnreadableError: One or more files can't be read; raised after the readable ones.
            TruncatedSourceError: A video ended early; raised after its last readable frame.
        """
        raise NotImplementedError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files and devices."""


class CaptureSource(Source):
    """A video file, camera or stream, through OpenCV."""

    def __init__(self, name: str, target: str | int, kind: Kind, vid_stride: int = 1) -> None:
        """Open it.

        Args:
            name: What the user called it.
            target: A path, address, or camera number.
            kind: `video` or `live`.
            vid_stride: Take every n-th frame.

        Raises:
            SourceNotFoundError: A camera or stream does not answer.
            SourceUnreadableError: A file is no video.
        """
        self.kind = kind
        self._name = name
        self._stride = vid_stride
        if isinstance(target, int):
            self._capture = cv2.VideoCapture(target)
        else:
            self._capture = cv2.VideoCapture(target, cv2.CAP_FFMPEG, [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS])
        if not self._capture.isOpened():
            if kind == "live":
                raise SourceNotFoundError(name, "a camera or stream that answers")
            raise SourceUnreadableError(name, "expected a video or image, found a file that OpenCV can't open as one")
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps / vid_stride if 0 < fps < 1000 else None
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._promised = count if count > 0 and kind == "video" else None
        self.frames = None if self._promised is None else -(-self._promised // vid_stride)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while self._capture.grab():
            if index % self._stride == 0:
                good, picture = self._capture.retrieve()
                if not good:
                    break
                yield Frame(as_bgr(picture), index, self._name)
            index += 1
        if index == 0:
            raise SourceUnreadableError(self._name, "expected a video or image, found no frame that can be decoded")
        if self._promised is not None and index < self._promised - _HEADER_SLACK:
            raise TruncatedSourceError(self._name, index, self._promised)

    def close(self) -> None:
        self._capture.release()


class FilesSource(Source):
    """Images, and videos among them, one file after the other. A file that can't be read is named at the end."""

    kind = "images"

    def __init__(self, name: str, paths: list[Path], vid_stride: int = 1) -> None:
        self._name = name
        self._stride = vid_stride
        self.files = tuple(paths)
        self.frames = None if any(map(_is_video, paths)) else len(paths)

    def __iter__(self) -> Iterator[Frame]:
        failures: list[SourceUnreadableError | TruncatedSourceError] = []
        for number, path in enumerate(self.files):
            try:
                if _is_video(path):
                    with CaptureSource(str(path), str(path), "video", self._stride) as video:
                        yield from video
                else:
                    yield Frame(read_picture(path), number, str(path))
            except (SourceUnreadableError, TruncatedSourceError) as error:
                if len(self.files) > 1:
                    _logger.warning("%s", error)
                failures.append(error)
        if len(self.files) == 1 and failures:
            raise failures[0]
        if failures:
            raise SourceUnreadableError(
                self._name, f"{len(failures)} of {len(self.files)} files can't be read, the first: {failures[0]}"
            )


def open_source(source: str | int | Path, *, vid_stride: int = 1) -> Source:
    """Open a source of frames.

    Args:
        source: A camera (`cam0`, `0`, `/dev/video0`), stream address, video, image, folder or glob, or `demo`.
        vid_stride: Take every n-th frame of a video or camera.

    Returns:
        The open source.

    Raises:
        OptionError: `vid_stride` is not positive.
        SourceNotFoundError: There is nothing of that name.
        SourceUnreadableError: It is there and no video or image.
    """
    if vid_stride < 1:
        raise OptionError("vid_stride", "a whole number of 1 or more", vid_stride)
    name = str(source)
    if name == DEMO:
        from fastsam_trt.demo.video import DemoVideo  # which is a source itself

        return DemoVideo(vid_stride=vid_stride)
    camera = re.fullmatch(r"(?:cam|/dev/video)?(\d+)", name)
    if camera:
        return CaptureSource(name, int(camera[1]), "live", vid_stride)
    if re.match(r"[a-z][a-z0-9+.-]+://", name):
        return CaptureSource(name, name, "live", vid_stride)
    path = Path(name).expanduser()
    if path.is_dir() or (glob.has_magic(name) and not path.exists()):
        return FilesSource(name, _list(name, path), vid_stride)
    if not path.is_file():
        raise SourceNotFoundError(name, "a camera, an address, or an existing file, folder or glob")
    if path.suffix.lower() in _TEXT_SUFFIXES:
        raise SourceUnreadableError(name, "expected a video or image, found a text file")
    if _is_image(path):
        return FilesSource(name, [path])
    return CaptureSource(name, str(path), "video", vid_stride)


def _list(name: str, path: Path) -> list[Path]:
    found = path.iterdir() if path.is_dir() else map(Path, glob.glob(str(path), recursive=True))
    paths = sorted(each for each in found if not each.is_dir() and (_is_image(each) or _is_video(each)))
    if not paths:
        raise SourceNotFoundError(name, "images or videos there")
    return paths


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in _VIDEO_SUFFIXES
