"""Windows: check for a display, and show one image."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.errors import DisplayError

_POLL_MS = 50


def check_display() -> None:
    """Check for a display, without which OpenCV's window library ends the process.

    Raises:
        DisplayError: There is none.
    """
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform == "linux" and not any(map(os.environ.get, displays)):
        raise DisplayError(f"none of {', '.join(displays)} set")


def show_image(image: NDArray[np.uint8], title: str) -> None:
    """Show an image in a window until a key is pressed or the window is closed.

    Args:
        image: (H, W, 3) uint8 BGR.
        title: Of the window.

    Raises:
        DisplayError: There is no display, or OpenCV was built without windows.
    """
    check_display()
    try:
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        cv2.imshow(title, image)
        while cv2.waitKey(_POLL_MS) == -1 and cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) > 0:
            pass
    except cv2.error as error:
        raise DisplayError(f"OpenCV without windows ({error.err})") from error
    with suppress(cv2.error):  # the user has closed it in the meantime
        cv2.destroyWindow(title)
