"""Readers of cameras and streams that follow a script."""

from __future__ import annotations

import threading
import time

import numpy as np

from fastsam_trt.sources.health import SourceHealth
from fastsam_trt.sources.video.reader_events import CapturedFrame, Ended, Opened


class Script:
    """A replacement for `open_reader`. Every opening has a list of steps, or None if it fails.

    A step is an image, an error to raise, an event to wait for (then no frame comes), `Ended`, a timestamp in seconds
    for the next frame, or damage before it. After its last step, a reader gives no more frames.
    """

    def __init__(self, *openings: list | None, has_end: bool = False) -> None:
        self.openings = list(openings)
        self.has_end = has_end
        self.opened_s: list[float] = []
        self.targets: list[str | int] = []
        self.limits_s: list[tuple[float, float]] = []
        self.held = 0

    def __call__(self, target: str | int, *, open_s: float, read_s: float) -> ScriptedReader:
        self.opened_s.append(time.perf_counter())
        self.targets.append(target)
        self.limits_s.append((open_s, read_s))
        steps = self.openings.pop(0) if self.openings else None
        if isinstance(steps, threading.Event):
            steps.wait(10)
            steps = None
        if steps is None:
            raise OSError("scripted")
        self.held += 1
        return ScriptedReader(self, steps)


class ScriptedReader:
    def __init__(self, script: Script, steps: list) -> None:
        self._script, self._steps = script, iter(steps)
        self._damage = SourceHealth()
        self.opened = Opened(25.0, script.has_end)

    def read(self, *, decode: bool) -> CapturedFrame | Ended | None:
        stream_s = None
        for step in self._steps:
            if isinstance(step, float):
                stream_s = step
            elif isinstance(step, SourceHealth):
                self._damage = step
            elif isinstance(step, threading.Event):
                step.wait(10)
                return None
            elif isinstance(step, Exception):
                raise step
            elif isinstance(step, Ended):
                return step
            else:
                assert isinstance(step, np.ndarray)
                image = step if decode else None
                return CapturedFrame(image, time.perf_counter(), time.time(), stream_s, damage=self._damage)
        return None

    def close(self) -> None:
        self._script.held -= 1
