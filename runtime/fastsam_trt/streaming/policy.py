"""Decide which frames of a source enter a flow, and when."""

from __future__ import annotations

import time
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Literal, TypeAlias

from fastsam_trt.errors import OptionError
from fastsam_trt.sources import Frame, Source

Policy: TypeAlias = Literal["auto", "latest", "every"]

_DEFAULT_FPS = 30.0


def resolve_policy(policy: str, source: Source) -> Literal["latest", "every"]:
    """Resolve `auto` for a source: `latest` for live sources, `every` for files.

    Raises:
        OptionError: The policy is unknown, or `latest` was requested for images.
    """
    if policy not in ("auto", "latest", "every"):
        raise OptionError("policy", "auto, latest or every", policy)
    if policy == "latest" and source.kind == "images":
        raise OptionError("policy", "every (or auto) for images, none of which is newer than another", policy)
    return "latest" if policy == "latest" or (policy == "auto" and source.kind == "live") else "every"


class Pacer:
    """Releases the frames of a video file at the speed of the video, like a camera."""

    def __init__(self, fps: float | None) -> None:
        """Create a pacer; its clock starts with the first frame.

        Args:
            fps: Frame rate for frames without a `timestamp_s`; None: 30.
        """
        self._fps = fps or _DEFAULT_FPS
        self._count = 0
        self._start_s: float | None = None
        self._stops: SimpleQueue[None] = SimpleQueue()

    def wait_until_due(self, frame: Frame) -> Frame | None:
        """Wait until a frame is due; a late frame is due at once.

        Returns:
            The frame with the current time as its capture time; None: the pacer was stopped.
        """
        time_in_video_s = self._count / self._fps if frame.timestamp_s is None else frame.timestamp_s
        self._count += 1
        if self._start_s is None:
            self._start_s = time.perf_counter() - time_in_video_s
        ahead_s = self._start_s + time_in_video_s - time.perf_counter()
        try:
            if ahead_s > 0:
                self._stops.get(timeout=ahead_s)
                return None
        except Empty:  # not stopped
            pass
        return replace(frame, captured_s=time.perf_counter())

    def stop(self) -> None:
        """End the wait. May be called from any thread or signal handler."""
        self._stops.put(None)
