"""Pace: a file's frames given out at the file's own speed, as a camera would."""

from __future__ import annotations

import time
from dataclasses import replace
from queue import Empty, SimpleQueue

from fastsam_trt.sources import Frame

_USUAL_FPS = 30.0


class Pace:
    """Holds frames back until they are due."""

    def __init__(self, fps: float | None) -> None:
        """Begin.

        Args:
            fps: Frame rate, for frames without a `timestamp_s`; None: 30.
        """
        self._fps = fps or _USUAL_FPS
        self._given = 0
        self._start_s: float | None = None
        self._stops: SimpleQueue[None] = SimpleQueue()

    def give(self, frame: Frame) -> Frame | None:
        """Wait until a frame is due; one that is late is due at once.

        Returns:
            The frame, captured now; None: the pace was stopped.
        """
        place_s = self._given / self._fps if frame.timestamp_s is None else frame.timestamp_s
        self._given += 1
        if self._start_s is None:
            self._start_s = time.perf_counter() - place_s
        ahead_s = self._start_s + place_s - time.perf_counter()
        try:
            if ahead_s > 0:
                self._stops.get(timeout=ahead_s)
                return None
        except Empty:  # nobody stopped it
            pass
        return replace(frame, captured_s=time.perf_counter())

    def stop(self) -> None:
        """End the waiting, from any thread or a signal's handler."""
        self._stops.put(None)
