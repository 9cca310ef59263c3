"""Video files of the overlay."""

from __future__ import annotations

from pathlib import Path

import cv2

from fastsam_engine.atomic_files import check_writable
from fastsam_engine.errors import OutputError
from fastsam_trt.drawing import draw
from fastsam_trt.result import Result
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame

_CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}


class VideoSink(Sink):
    """Encodes the overlay of every frame, in the size of the first. Nothing is written before the first frame."""

    def __init__(self, path: Path, fps: float | None) -> None:
        """Prepare.

        Args:
            path: The file; its suffix chooses the container.
            fps: Frame rate; None: 30.

        Raises:
            OutputError: It can't be written, or the suffix is of no container that we write.
        """
        if path.suffix.lower() not in _CODECS:
            raise OutputError(path, f"expected a suffix among {', '.join(_CODECS)}, found {path.suffix!r}")
        check_writable(path)
        self._path = path
        self._fps = fps or 30.0
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, frame: Frame, result: Result) -> None:
        """Encode one frame."""
        picture = draw(result)
        if self._writer is None:
            self._size = (picture.shape[1], picture.shape[0])
            codec = cv2.VideoWriter.fourcc(*_CODECS[self._path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self._path), codec, self._fps, self._size)
            if not self._writer.isOpened():
                raise OutputError(self._path, f"OpenCV can't encode {self._size[0]} x {self._size[1]} into it")
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA).astype(picture.dtype)
        self._writer.write(picture)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()
