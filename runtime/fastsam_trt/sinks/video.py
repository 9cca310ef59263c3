"""Video files of the overlay."""

from __future__ import annotations

from pathlib import Path

import cv2

from fastsam_engine.atomic_files import check_writable
from fastsam_engine.errors import OutputError
from fastsam_trt.errors import OutputStoppedError
from fastsam_trt.result import Result
from fastsam_trt.sinks.overlay import Overlay
from fastsam_trt.sinks.room import growable_bytes
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame

_CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
_BUFFERED_B = 4 << 20  # more than encoders and containers hold back
_INDEX_B = 32  # more than a frame's place in the index, which is written at the end
_STUCK_FRAMES = 10_000  # the smallest frames are of some ten bytes, and files grow by 32 kB


class VideoSink(Sink):
    """Encodes the overlay of every frame, in the size of the first. Nothing is written before the first frame.

    OpenCV does not tell that a disk is full, so the room for more is looked at before each frame: the run ends while
    there is enough left to finish the file.
    """

    def __init__(self, path: Path, fps: float | None, overlay: Overlay | None = None) -> None:
        """Prepare.

        Args:
            path: The file; its suffix chooses the container.
            fps: Frame rate; None: 30.
            overlay: Draws for other sinks too; None: for this one alone.

        Raises:
            OutputError: It can't be written, or the suffix is of no container that we write.
        """
        if path.suffix.lower() not in _CODECS:
            raise OutputError(path, f"expected a suffix among {', '.join(_CODECS)}, found {path.suffix!r}")
        check_writable(path)
        self._path = path
        self._fps = fps or 30.0
        self._overlay = overlay or Overlay()
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._frames = 0
        self._length, self._grown_at = 0, 0  # bytes, and the frame that they were first found at

    def write(self, frame: Frame, result: Result) -> None:
        """Encode one frame.

        Raises:
            OutputError: OpenCV can't encode pictures of this size into the file.
            OutputStoppedError: There is no room for it; the file holds the frames before it.
        """
        picture = self._overlay.of(result)
        if self._writer is None:
            self._size = (picture.shape[1], picture.shape[0])
            codec = cv2.VideoWriter.fourcc(*_CODECS[self._path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self._path), codec, self._fps, self._size)
            if not self._writer.isOpened():
                raise OutputError(self._path, f"OpenCV can't encode {self._size[0]} x {self._size[1]} into it")
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA).astype(picture.dtype)
        self._check_room(picture.nbytes)
        self._writer.write(picture)
        self._frames += 1

    def close(self) -> None:
        """Finish the file.

        Raises:
            OutputStoppedError: It can't be read back.
        """
        writer, self._writer = self._writer, None
        if writer is None:
            return
        writer.release()
        if self._frames:
            written = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
            if not written.isOpened():
                raise OutputStoppedError(self._path, self._frames, "a file without its end, which can't be played")
            written.release()

    def _check_room(self, picture_b: int) -> None:
        room = growable_bytes(self._path)
        if room < _BUFFERED_B + self._frames * _INDEX_B + picture_b:
            raise OutputStoppedError(self._path, self._frames, f"{room / 1e6:.1f} MB left")
        length = self._path.stat().st_size
        if length != self._length:
            self._length, self._grown_at = length, self._frames
        elif self._frames - self._grown_at > _STUCK_FRAMES:
            raise OutputStoppedError(self._path, self._frames, f"a file that no longer grows, at {length} bytes,")
