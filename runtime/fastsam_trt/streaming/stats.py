"""Figures of a flow: frames, ages, rates, queues and times of stages, while it runs and at its end."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fastsam_trt.sources import SourceHealth
from fastsam_trt.streaming.channel import Handover
from fastsam_trt.streaming.histogram import Histogram, RollingHistogram

if TYPE_CHECKING:
    from fastsam_trt.results.result import Result

STAGES = ("capture", "preprocess", "segment", "select", "decode", "output")
"""What is timed, in the order of the work. `output` is drawing, encoding and writing, less the decoding of masks."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The figures of one moment. Those of times are NaN before the first frame is done.

    Attributes:
        frames: Frames that are done: everything that takes results has had them.
        captured: Frames that were read.
        dropped: Frames that were read and let go: newer ones replaced them, or the flow was stopped before their turn.
        failed: Files of the source that could not be read or worked on.
        fps_in, fps_out: Frames a second that were read, and done, in the last ten seconds.
        fps_in_mean, fps_out_mean: The same of the whole run, nothing left out.
        age_p50_ms, age_p99_ms: Age of frames when they were done, from their capture, of the whole run.
        age_p50_live_ms, age_p99_live_ms: The same of the last ten seconds.
        segments: Selected segments, all frames together.
        embedded: Crops that CLIP saw, all frames together.
        embedded_per_frame: The same for each frame that is done.
        pending: Decisions that waited for a later frame, all frames together; one that waits for three counts thrice.
        queues: How many frames wait now: `captured` to be segmented, `segmented` to be selected from, `selected` to be
            taken.
        queues_mean: How many waited on average, those included that a stage held while the queue was full. Frames
            that were dropped do not count.
        stages: p50 and p99 of each of `STAGES`, ms.
        health: What went wrong with the source.
        seconds: From the first capture to the last frame that is done.
    """

    frames: int
    captured: int
    dropped: int
    failed: int
    fps_in: float
    fps_out: float
    fps_in_mean: float
    fps_out_mean: float
    age_p50_ms: float
    age_p99_ms: float
    age_p50_live_ms: float
    age_p99_live_ms: float
    segments: int
    embedded: int
    embedded_per_frame: float
    pending: int
    queues: dict[str, int]
    queues_mean: dict[str, float]
    stages: dict[str, tuple[float, float]]
    health: SourceHealth
    seconds: float

    def as_record(self) -> dict[str, Any]:
        """The figures as JSON's types; None for what is not known yet."""
        return {name: _plain(value) for name, value in asdict(self).items()}


class FlowFigures:
    """Takes figures from a flow's threads. Its memory does not grow, however long the flow runs."""

    def __init__(
        self, queues: Mapping[str, Handover[Any]], health: Callable[[], SourceHealth], failed: Callable[[], int] = int
    ) -> None:
        """Begin.

        Args:
            queues: What frames wait in, by name.
            health: Asked for the source's health.
            failed: Asked for how many of its files failed; by default none.
        """
        self._queues = queues
        self._health = health
        self._failed = failed
        self._lock = threading.Lock()
        self._start_s = self._captured_s = self._done_s = 0.0
        self._captured = self._segments = self._embedded = self._pending = 0
        self._stages = {stage: Histogram() for stage in STAGES}
        self._age, self._recent_age = Histogram(), RollingHistogram()
        self._recent_captures, self._recent_after = RollingHistogram(), RollingHistogram()
        self._waited_s = dict.fromkeys(queues, 0.0)

    def took_capture(self, begun_s: float, done_s: float) -> None:
        """A frame was read between two times of `time.perf_counter`."""
        with self._lock:
            if not self._captured:
                self._start_s = begun_s
            self._captured += 1
            self._captured_s = done_s
            self._stages["capture"].add((done_s - begun_s) * 1e3)
            self._recent_captures.add((done_s - begun_s) * 1e3, done_s)

    def waited(self, queue: str, seconds: float) -> None:
        """A frame left a queue after so long."""
        with self._lock:
            self._waited_s[queue] += seconds

    def took_output(self, result: Result, captured_s: float, selected_s: float, begun_s: float, done_s: float) -> None:
        """A frame is done.

        Args:
            result: Its result.
            captured_s, selected_s, begun_s, done_s: When it was captured, when its selection was made, when whoever
                takes results got it and when they were done with it, on `time.perf_counter`'s clock.
        """
        # Masks are decoded when first asked for: that time is decoding, not output.
        output_ms = (done_s - begun_s) * 1e3 - result.speed["decode"]
        age_ms = (done_s - captured_s) * 1e3
        with self._lock:
            for stage, ms in {**result.speed, "output": max(output_ms, 0.0)}.items():
                if stage in self._stages:
                    self._stages[stage].add(ms)
            self._age.add(age_ms)
            self._recent_age.add(age_ms, done_s)
            if self._age.count > 1:  # with the first, files and windows are opened
                self._recent_after.add((done_s - selected_s) * 1e3, done_s)
            self._segments += len(result)
            self._embedded += result.crops_embedded
            self._pending += len(result.pending)
            self._done_s = done_s

    def after_selection_ms(self) -> float:
        """p99 of what frames took from their selection until they were done, of the last seconds, ms; NaN: of none."""
        with self._lock:
            return self._recent_after.recent(time.perf_counter()).percentiles(99)[0]

    def snapshot(self) -> Snapshot:
        """The figures of now; any thread may ask."""
        now_s = time.perf_counter()
        with self._lock:
            frames = self._age.count
            seconds = self._done_s - self._start_s if frames else 0.0
            age, live = self._age.percentiles(50, 99), self._recent_age.recent(now_s).percentiles(50, 99)
            return Snapshot(
                frames=frames,
                captured=self._captured,
                dropped=sum(queue.dropped for queue in self._queues.values()),
                failed=self._failed(),
                fps_in=self._recent_captures.rate(now_s),
                fps_out=self._recent_age.rate(now_s),
                fps_in_mean=_ratio(self._captured, self._captured_s - self._start_s),
                fps_out_mean=_ratio(frames, seconds),
                age_p50_ms=age[0],
                age_p99_ms=age[1],
                age_p50_live_ms=live[0],
                age_p99_live_ms=live[1],
                segments=self._segments,
                embedded=self._embedded,
                embedded_per_frame=_ratio(self._embedded, frames),
                pending=self._pending,
                queues={name: queue.depth for name, queue in self._queues.items()},
                queues_mean={name: _ratio(waited, seconds) for name, waited in self._waited_s.items()},
                stages={stage: (p[0], p[1]) for stage, p in self._percentiles().items()},
                health=self._health(),
                seconds=seconds,
            )

    def _percentiles(self) -> dict[str, tuple[float, ...]]:
        return {stage: times.percentiles(50, 99) for stage, times in self._stages.items()}


def _ratio(count: float, by: float) -> float:
    return count / by if by > 0 else 0.0


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 3)
    return value
