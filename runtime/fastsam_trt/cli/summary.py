"""The one line that ends a run: frames, frames a second, and what each stage took."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fastsam_trt.result import Result

_STAGES = ("capture", "preprocess", "segment", "select", "decode", "output")


class RunSummary:
    """Times of a run's frames. `capture` is reading a frame, `output` drawing, encoding and writing it."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {stage: [] for stage in _STAGES}
        self._segments = 0
        self._start = self._end = time.perf_counter()

    @property
    def frames(self) -> int:
        """Frames that are done."""
        return len(self._times["capture"])

    def add(self, result: Result, *, capture_ms: float, output_ms: float) -> None:
        """Take the times of one frame that is done."""
        if not self.frames:
            self._start = time.perf_counter() - (capture_ms + result.speed["total"] + output_ms) / 1e3
        for stage, ms in {**result.speed, "capture": capture_ms, "output": output_ms}.items():
            if stage in self._times:
                self._times[stage].append(ms)
        self._segments += len(result)
        self._end = time.perf_counter()

    def line(self) -> str:
        """The summary: the rate is of the wall clock from first capture to last output, nothing left out."""
        seconds = self._end - self._start
        stages = []
        for stage, times in self._times.items():
            p50, p99 = np.percentile(times, [50, 99])
            stages.append(f"{stage} {p50:.1f}/{p99:.1f}")
        return (
            f"{_count(self.frames, 'frame')}, {_count(self._segments, 'selected segment')}, "
            f"{self.frames / max(seconds, 1e-9):.1f} FPS; "
            f"ms p50/p99: {', '.join(stages)}"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
