"""A window with the overlay."""

from __future__ import annotations

import os
import sys

import cv2

from fastsam_trt.errors import DisplayError
from fastsam_trt.result import Result
from fastsam_trt.sinks.overlay import Overlay
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame

_TITLE = "fastsam-trt"
_QUIT_KEYS = (27, ord("q"))


class WindowSink(Sink):
    """Shows every frame; Escape or q ends the run."""

    def __init__(self, overlay: Overlay | None = None) -> None:
        """Prepare; the window opens with the first frame.

        Args:
            overlay: Draws for other sinks too; None: for this one alone.

        Raises:
            DisplayError: There is no display. OpenCV's window library would end the process then.
        """
        displays = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
        if sys.platform == "linux" and not any(map(os.environ.get, displays)):
            raise DisplayError(f"none of {', '.join(displays)} set")
        self._overlay = overlay or Overlay()
        self._open = False

    def write(self, frame: Frame, result: Result) -> None:
        """Show a frame.

        Raises:
            DisplayError: OpenCV was built without windows.
            KeyboardInterrupt: The user pressed Escape or q.
        """
        try:
            cv2.imshow(_TITLE, self._overlay.of(result))
            key = cv2.waitKey(1) & 0xFF
        except cv2.error as error:
            raise DisplayError(f"OpenCV without windows ({error.err})") from error
        self._open = True
        if key in _QUIT_KEYS:
            raise KeyboardInterrupt

    def close(self) -> None:
        if self._open:
            cv2.destroyWindow(_TITLE)
