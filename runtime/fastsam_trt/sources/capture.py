"""CaptureSource: a video file, every frame in order."""

from __future__ import annotations

from collections.abc import Iterator

import cv2

from fastsam_trt.errors import SourceUnreadableError, TruncatedSourceError
from fastsam_trt.picture import as_bgr
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.source import Source

HEADER_SLACK = 2
"""Frames by which a header's count may be off, being a duration times a rate."""


class CaptureSource(Source):
    """A video file, through OpenCV."""

    kind = "video"

    def __init__(self, name: str, path: str, vid_stride: int = 1) -> None:
        """Open it.

        Args:
            name: What the user called it.
            path: The file.
            vid_stride: Take every n-th frame.

        Raises:
            SourceUnreadableError: The file is no video.
        """
        self._name = name
        self._stride = vid_stride
        self._capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceUnreadableError(name, "expected a video or image, found a file that OpenCV can't open as one")
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self._rate = rate if 0 < rate < 1000 else None
        self.fps = None if self._rate is None else self._rate / vid_stride
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._promised = count if count > 0 else None
        self.frames = None if self._promised is None else -(-self._promised // vid_stride)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while not self._stopped and self._capture.grab():
            if index % self._stride == 0:
                good, picture = self._capture.retrieve()
                if not good:
                    break
                yield Frame(as_bgr(picture), index, self._name, timestamp_s=self._place_s(index))
            index += 1
        if self._stopped:
            return
        if index == 0:
            raise SourceUnreadableError(self._name, "expected a video or image, found no frame that can be decoded")
        if self._promised is not None and index < self._promised - HEADER_SLACK:
            raise TruncatedSourceError(self._name, index, self._promised)

    def _place_s(self, index: int) -> float | None:
        """Where the frame is in the video; reckoned from the rate where its container has no times."""
        told_s = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3
        if told_s > 0 or index == 0:
            return max(told_s, 0.0)
        return None if self._rate is None else index / self._rate

    def close(self) -> None:
        self._capture.release()
