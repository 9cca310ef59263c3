"""WindowSink: show the overlay in a window."""

from __future__ import annotations

from contextlib import suppress

import cv2

from fastsam_trt.drawing.display import check_display
from fastsam_trt.errors import DisplayError
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.shared_overlay import Overlay
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame

_TITLE = "fastsam-trt"
_QUIT_KEYS = (27, ord("q"))


class WindowSink(Sink):
    """Shows every frame. Escape, q or the window's close button ask to end the run."""

    def __init__(self, overlay: Overlay | None = None) -> None:
        """Check for a display. The window opens with the first frame.

        Args:
            overlay: An overlay that is shared with other sinks; None: not shared.

        Raises:
            DisplayError: There is no display, without which OpenCV's window library ends the process.
        """
        check_display()
        self._overlay = overlay or Overlay()
        self._is_open = self._was_visible = False

    def write(self, frame: Frame, result: Result) -> None:
        """Show a frame, unless the window has been closed.

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
        self._check_closed()
        self.wants_end = self.wants_end or key in _QUIT_KEYS or not self._is_open

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            with suppress(cv2.error):  # the user has closed it in the meantime
                cv2.destroyWindow(_TITLE)

    def _check_closed(self) -> None:
        """Notice a closed window, which the next `imshow` would reopen. Not all window libraries report visibility."""
        try:
            is_visible = cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) > 0
        except cv2.error:  # there is no such window
            is_visible = False
        self._is_open = is_visible or not self._was_visible
        self._was_visible = self._was_visible or is_visible
