"""Uploads of frames: each frame is uploaded once to a device's memory, for all sessions that use it."""

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
    """Uploaded frames, each kept while its frame is in use. Any thread may call it."""

    def __init__(self) -> None:
        self._observers = RunObservers("frame uploads")
        # Key: id of the view that `register` returned. The weak reference's callback removes the entry.
        self._registered: dict[int, tuple[weakref.ref[NDArray[np.uint8]], dict[str, DeviceArray]]] = {}

    def register(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Register the current content of a frame, (H, W, 3) uint8 BGR.

        Returns:
            A view of the frame. `upload` uploads it once, and keeps it while the view is alive. The array itself can't
            identify the frame, since the caller of a pipeline may write the next frame into it.
        """
        view, registered = frame.view(), self._registered
        key = id(view)
        registered[key] = weakref.ref(view, lambda _: registered.pop(key)), {}
        return view

    def upload(self, session: Session, frame: NDArray[np.uint8]) -> DeviceArray:
        """A frame in a session's memory; one that `register` did not return is uploaded on every call."""
        start_s = time.perf_counter()
        array = self._uploaded(session, frame)
        self._observers.notify({"frame": frame}, start_s)
        return array

    def observe(self, observer: RunObserver) -> Callable[[], None]:
        """Report every call of `upload` from now on to a function, as `Session.observe` does; its input is `frame`."""
        return self._observers.add(observer)

    def _uploaded(self, session: Session, frame: NDArray[np.uint8]) -> DeviceArray:
        entry = self._registered.get(id(frame))
        if entry is None:
            return session.upload(frame)
        uploaded = entry[1]
        if session.memory not in uploaded:
            # A new view: the host's "upload" keeps its argument, and must not keep the registered view alive.
            uploaded[session.memory] = session.upload(frame.view())
        return uploaded[session.memory]
