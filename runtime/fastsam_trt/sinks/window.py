"""A window with the overlay."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import cv2

from fastsam_trt.drawing.overlay import Overlay
from fastsam_trt.errors import DisplayError
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame

_TITLE = "fastsam-trt"
_QUIT_KEYS = (27, ord("q"))


class WindowSink(Sink):
    """Shows every frame; Escape, q or the window's own button ask for the end of the run."""

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
        self._is_open = self._was_seen = False

    def write(self, frame: Frame, result: Result) -> None:
        """Show a frame, unless the window was closed.

        Raises:
            DisplayError: OpenCV was built without windows.
        """
        if self.wants_end and not self._is_open:
            return
        try:
            cv2.imshow(_TITLE, self._overlay.of(result))
            self._is_open = True
            key = cv2.waitKey(1) & 0xFF
        except cv2.error as error:
            raise DisplayError(f"OpenCV without windows ({error.err})") from error
        self._look_whether_it_was_closed()
        self.wants_end = self.wants_end or key in _QUIT_KEYS or not self._is_open

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            with suppress(cv2.error):  # its button was pressed in between
                cv2.destroyWindow(_TITLE)

    def _look_whether_it_was_closed(self) -> None:
        """OpenCV would open it again with the next frame. Not every window library tells."""
        try:
            is_seen = cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) > 0
        except cv2.error:  # of no window
            is_seen = False
        self._is_open = is_seen or not self._was_seen
        self._was_seen = self._was_seen or is_seen
