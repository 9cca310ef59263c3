"""A window with the overlay."""

from __future__ import annotations

import cv2

from fastsam_trt.drawing import draw
from fastsam_trt.errors import MissingPackageError
from fastsam_trt.result import Result
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame

_TITLE = "fastsam-trt"
_QUIT_KEYS = (27, ord("q"))


class WindowSink(Sink):
    """Shows every frame; Escape or q ends the run."""

    def __init__(self) -> None:
        """Prepare; the window opens with the first frame."""
        self._open = False

    def write(self, frame: Frame, result: Result) -> None:
        """Show a frame.

        Raises:
            MissingPackageError: There is no display, or OpenCV was built without windows.
            KeyboardInterrupt: The user pressed Escape or q.
        """
        try:
            cv2.imshow(_TITLE, draw(result))
            key = cv2.waitKey(1) & 0xFF
        except cv2.error as error:
            raise MissingPackageError(["a display and opencv-python with windows"], "cpu") from error
        self._open = True
        if key in _QUIT_KEYS:
            raise KeyboardInterrupt

    def close(self) -> None:
        if self._open:
            cv2.destroyWindow(_TITLE)
