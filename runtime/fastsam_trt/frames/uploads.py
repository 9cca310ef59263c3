"""The frames that are under way where sessions compute: each uploaded once, however many sessions ask for it."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.device_array import DeviceArray
from fastsam_engine.run_observers import RunObserver, RunObservers


class FrameUploads:
    """Uploads of frames, each kept as long as somebody works on the frame. Any thread may ask."""

    def __init__(self) -> None:
        self._observers = RunObservers("frame uploads")
        # By the view that stands for a frame, while it lives; the reference's callback takes the entry away.
        self._begun: dict[int, tuple[weakref.ref[NDArray[np.uint8]], dict[str, DeviceArray]]] = {}

    def begin(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Take a frame, (H, W, 3) uint8 BGR, to work on.

        Returns:
            A view of it that stands for what it holds now: `at` uploads that once, and keeps it as long as the view
            lives. The caller of a pipeline may write the next frame into the same array, so the array itself can't say
            which frame is meant.
        """
        view, begun = frame.view(), self._begun
        key = id(view)
        begun[key] = weakref.ref(view, lambda _: begun.pop(key)), {}
        return view

    def at(self, session: Session, frame: NDArray[np.uint8]) -> DeviceArray:
        """A frame at a session's place; what `begin` did not give is uploaded each time."""
        start_s = time.perf_counter()
        array = self._at(session, frame)
        self._observers.notify({"frame": frame}, start_s)
        return array

    def observe(self, observer: RunObserver) -> Callable[[], None]:
        """Report every call of `at` from now on to a function, as `Session.observe` does; its input is `frame`."""
        return self._observers.add(observer)

    def _at(self, session: Session, frame: NDArray[np.uint8]) -> DeviceArray:
        found = self._begun.get(id(frame))
        if found is None:
            return session.upload(frame)
        uploaded = found[1]
        if session.place not in uploaded:
            uploaded[session.place] = session.upload(frame.view())  # the host's own may keep what it is given
        return uploaded[session.place]
