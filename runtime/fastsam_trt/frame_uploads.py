"""The frames of the moment where sessions compute: each uploaded once, however many sessions ask for it."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.device_array import DeviceArray

_KEPT = 4  # a frame is segmented while those before it wait for their selection


class FrameUploads:
    """Uploads of the last few frames. Any thread may ask."""

    def __init__(self) -> None:
        self._frames: deque[tuple[NDArray[np.uint8], dict[str, DeviceArray]]] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()

    def begin(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Take a frame, (H, W, 3) uint8 BGR, as the latest.

        Returns:
            A view of it that stands for what it holds now: `at` uploads that once. The caller of a pipeline may write
            the next frame into the same array, so the array itself can't say which frame is meant.
        """
        view = frame.view()
        with self._lock:
            self._frames.append((view, {}))
        return view

    def at(self, session: Session, frame: NDArray[np.uint8]) -> DeviceArray:
        """A frame at a session's place; what `begin` did not give is uploaded each time."""
        with self._lock:
            uploaded = next((places for begun, places in self._frames if begun is frame), None)
        if uploaded is None:
            return session.upload(frame)
        if session.place not in uploaded:
            uploaded[session.place] = session.upload(frame)
        return uploaded[session.place]
