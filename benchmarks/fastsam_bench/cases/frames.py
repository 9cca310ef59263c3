"""Frames to measure on, as encoded pictures or a video: decoding them is part of the measured time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.demo.scenes import draw_scene
from fastsam_trt.errors import SourceNotFoundError, SourceUnreadableError, TruncatedSourceError

if TYPE_CHECKING:
    from fastsam_trt.sources.video.video_file import VideoFile

_PICTURES = 4
_JPEG_QUALITY = 90
_THINGS = (8, 12)
_RADIUS_PX, _OF_HEIGHT_PX = (12.0, 62.0), 360  # as the demo draws them
_LONGEST_VIDEO = 120  # frames, after which it starts again


class Frames(ABC):
    """An endless sequence of frames.

    Attributes:
        size: (height, width), px.
    """

    size: tuple[int, int]

    @abstractmethod
    def prepare(self) -> None:
        """Prepare the next frames; this is not part of the measured work."""

    @abstractmethod
    def capture(self) -> NDArray[np.uint8]:
        """Decode the next frame: (H, W, 3) uint8 BGR."""

    def close(self) -> None:  # noqa: B027 - drawn frames hold nothing
        """Close files."""


class DrawnFrames(Frames):
    """Drawn scenes of the demo, encoded as JPEG."""

    def __init__(self, size: tuple[int, int], pictures: int = _PICTURES) -> None:
        """Draw the scenes.

        Args:
            size: (height, width), px.
            pictures: Number of different scenes.
        """
        self.size = size
        self.encoded = _draw(size, pictures)
        self._next = 0

    def prepare(self) -> None:
        pass

    def capture(self) -> NDArray[np.uint8]:
        encoded = self.encoded[self._next % len(self.encoded)]
        self._next += 1
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


@cache  # cells share their frames
def _draw(size: tuple[int, int], pictures: int) -> tuple[NDArray[np.uint8], ...]:
    scale = size[0] / _OF_HEIGHT_PX
    radius_px = _RADIUS_PX[0] * scale, _RADIUS_PX[1] * scale
    drawn = [draw_scene(seed, *size, items=_THINGS, radius_px=radius_px).frame for seed in range(pictures)]
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    return tuple(np.asarray(cv2.imencode(".jpg", frame, quality)[1], np.uint8) for frame in drawn)


class VideoFrames(Frames):
    """The frames of a video, repeated after its end or after some hundred frames."""

    def __init__(self, path: Path) -> None:
        """Open the video and count its frames.

        Raises:
            SourceNotFoundError: The file does not exist.
            SourceUnreadableError: The file can't be decoded.
        """
        if not path.is_file():
            raise SourceNotFoundError(str(path), "a video file")
        self._path = path
        self._video = self._open()
        try:
            self._read, self._next, self._length = iter(self._video), 0, 1
            height, width = self.capture().shape[:2]
            with suppress(TruncatedSourceError):  # the readable frames are enough
                for _ in islice(self._read, _LONGEST_VIDEO - 1):
                    self._length += 1
            self._rewind()
        except BaseException:
            self._video.close()
            raise
        self.size = height, width

    def prepare(self) -> None:
        if self._next >= self._length:
            self._rewind()

    def capture(self) -> NDArray[np.uint8]:
        if self._next >= self._length:  # within a batch
            self._rewind()
        frame = next(self._read, None)
        if frame is None:
            raise SourceUnreadableError(str(self._path), f"frame {self._next} can't be decoded any more")
        self._next += 1
        return frame.image

    def close(self) -> None:
        self._video.close()

    def _rewind(self) -> None:
        self._video.close()
        self._video = self._open()  # opened here: an iterator would open it only for its first frame
        self._read = iter(self._video)
        self._next = 0

    def _open(self) -> VideoFile:
        from fastsam_trt.sources.video.video_file import VideoFile  # which loads FFmpeg

        return VideoFile(str(self._path), self._path)
