"""Captures that follow a script, in place of OpenCV's."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import cv2
import numpy as np

from live_senders import HEIGHT, WIDTH


class Script:
    """What `cv2.VideoCapture` does, opening after opening: each a list of steps, or None where it can't be opened.

    A step is a picture, an error to raise, an event that is waited for and then no frame comes, or a time in
    milliseconds to set the stream's clock to; at the end of its steps a capture gives no more frames.
    """

    def __init__(self, *openings: list | None, frames: int = 0) -> None:
        self.openings = list(openings)
        self.frames = frames
        self.opened_s: list[float] = []
        self.targets: list[str | int] = []
        self.held = 0
        self.options: dict[int, float] = {}

    def __call__(self, target: str | int, _backend: int = 0, options: Sequence[int] = ()) -> ScriptedCapture:
        self.options |= dict(zip(options[::2], options[1::2], strict=True))
        self.opened_s.append(time.perf_counter())
        self.targets.append(target)
        steps = self.openings.pop(0) if self.openings else None
        if isinstance(steps, threading.Event):
            steps.wait(10)
            steps = None
        self.held += steps is not None
        return ScriptedCapture(self, steps)


class ScriptedCapture:
    def __init__(self, script: Script, steps: list | None) -> None:
        self._script, self._steps = script, None if steps is None else iter(steps)
        self._picture: np.ndarray | None = None
        self._place_ms = 0.0
        pictures = [step for step in steps or () if isinstance(step, np.ndarray)]
        self._size = pictures[0].shape[:2] if pictures else (HEIGHT, WIDTH)

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self._steps is not None

    def get(self, what: int) -> float:
        return {
            cv2.CAP_PROP_FPS: 25.0,
            cv2.CAP_PROP_FRAME_COUNT: float(self._script.frames),
            cv2.CAP_PROP_FRAME_WIDTH: float(self._size[1]),
            cv2.CAP_PROP_FRAME_HEIGHT: float(self._size[0]),
            cv2.CAP_PROP_POS_MSEC: self._place_ms,
        }[what]

    def set(self, what: int, value: float) -> bool:
        self._script.options[what] = value
        return True

    def grab(self) -> bool:
        assert self._steps is not None
        self._place_ms += 40
        step = next(self._steps, None)
        if isinstance(step, float):
            self._place_ms = step
            step = next(self._steps, None)
        if isinstance(step, threading.Event):
            step.wait(10)
            step = None
        if isinstance(step, Exception):
            raise step
        self._picture = step
        return step is not None

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        return True, self._picture

    def release(self) -> None:
        if self._steps is not None:
            self._script.held -= 1
        self._steps = None
