"""The frame of the moment where sessions compute: uploaded once, however many of them ask for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.device_array import DeviceArray


class FrameUploads:
    """Uploads of one frame at a time. A caller may write into a frame's array between frames, so each is begun."""

    def __init__(self) -> None:
        self._frame: NDArray[np.uint8] | None = None
        self._uploaded: dict[str, DeviceArray] = {}

    def begin(self, frame: NDArray[np.uint8]) -> None:
        """Take a frame, (H, W, 3) uint8 BGR, as the one of the moment; what was uploaded before is forgotten."""
        self._frame = frame
        self._uploaded = {}

    def at(self, session: Session, frame: NDArray[np.uint8]) -> DeviceArray:
        """A frame at a session's place; one that was not begun is uploaded each time."""
        if frame is not self._frame:
            return session.upload(frame)
        if session.place not in self._uploaded:
            self._uploaded[session.place] = session.upload(frame)
        return self._uploaded[session.place]
