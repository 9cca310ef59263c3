"""CameraReader: read frames of a camera through OpenCV."""

from __future__ import annotations

import time

import cv2

from fastsam_trt.frames.image import as_bgr
from fastsam_trt.sources.video.reader_events import CapturedFrame, Opened

# The camera fills one buffer while the other is read. With one buffer, every other frame would be missed; with the
# usual four, a slow reader would get frames that are four intervals old.
_CAMERA_BUFFERS = 2


class CameraReader:
    """An open camera."""

    def __init__(self, number: int) -> None:
        """Open the camera.

        Raises:
            OSError: It can't be opened.
        """
        self._capture = cv2.VideoCapture(number)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, _CAMERA_BUFFERS)  # if its driver has buffers
        if not self._capture.isOpened():
            self._capture.release()
            raise OSError(f"camera {number} can't be opened")
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.opened = Opened(fps if 0 < fps < 1000 else None)

    def read(self, *, decode: bool) -> CapturedFrame | None:
        """Wait for the next frame; None if there are no more.

        Args:
            decode: Whether to decode the image.

        Raises:
            ImageFormatError: The image has an unsupported shape or dtype.
        """
        try:
            if not self._capture.grab():
                return None
            captured_s, timestamp_s = time.perf_counter(), time.time()
            if not decode:
                return CapturedFrame(None, captured_s, timestamp_s)
            good, image = self._capture.retrieve()
        except cv2.error:
            return None
        return CapturedFrame(as_bgr(image), captured_s, timestamp_s) if good else None

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()
