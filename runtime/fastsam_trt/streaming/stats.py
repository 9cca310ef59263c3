"""Collect the statistics of a flow: counts, ages, rates, queue lengths and stage times."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fastsam_trt.sources import SourceHealth
from fastsam_trt.streaming.channel import BaseChannel
from fastsam_trt.streaming.histogram import Histogram, RollingHistogram

if TYPE_CHECKING:
    from fastsam_trt.results.result import Result

STAGES = ("capture", "preprocess", "segment", "select", "decode", "output")
"""The timed stages, in order. `output` is drawing, encoding and writing, without the decoding of masks."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The statistics of a flow at one moment. Times are NaN until the first frame is done.

    Attributes:
        frames: Frames that are done: all outputs have written them.
        captured: Frames that were read.
        dropped: Frames that were read but not processed: newer frames replaced them, or the flow was stopped first.
        failed: Files of the source that could not be read or processed.
        fps_in, fps_out: Frames per second that were read, and done, in the last ten seconds.
        fps_in_mean, fps_out_mean: The same over the whole run.
        age_p50_ms, age_p99_ms: Time from the capture of a frame until it was done, over the whole run.
        age_p50_live_ms, age_p99_live_ms: The same for the last ten seconds.
        segments: Selected segments, summed over frames.
        embedded: Crops that CLIP embedded, summed over frames.
        embedded_per_frame: The mean of that per frame.
        pending: Decisions that were deferred to a later frame, summed over frames; one deferred for three frames counts
            three times.
        queues: How many frames wait now: `captured` for the segmenter, `segmented` for the selection, `selected` for
            the output.
        queues_mean: Mean number of waiting frames, including one that a stage held because the queue was full. Dropped
            frames do not count.
        stages: p50 and p99 of each of `STAGES`, ms.
        health: Losses and damage of the source.
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
        """The statistics as JSON types; None for unknown values."""
        return {name: _plain(value) for name, value in asdict(self).items()}


class FlowStats:
    """Collects statistics from the threads of a flow. Its memory does not grow, however long the flow runs."""

    def __init__(
        self,
        queues: Mapping[str, BaseChannel[Any]],
        health: Callable[[], SourceHealth],
        failed: Callable[[], int] = int,
    ) -> None:
        """Create empty statistics.

        Args:
            queues: The queues in which frames wait, by name.
            health: Returns the health of the source.
            failed: Returns how many files of the source failed; by default 0.
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

    def record_capture(self, begin_s: float, end_s: float) -> None:
        """Record that a frame was read between two times on `time.perf_counter`'s clock."""
        with self._lock:
            if not self._captured:
                self._start_s = begin_s
            self._captured += 1
            self._captured_s = end_s
            self._stages["capture"].add((end_s - begin_s) * 1e3)
            self._recent_captures.add((end_s - begin_s) * 1e3, end_s)

    def record_wait(self, queue: str, seconds: float) -> None:
        """Record how long a frame waited in a queue."""
        with self._lock:
            self._waited_s[queue] += seconds

    def record_output(
        self, result: Result, captured_s: float, selected_s: float, taken_s: float, done_s: float
    ) -> None:
        """Record that a frame is done.

        Args:
            result: The result of the frame.
            captured_s, selected_s, taken_s, done_s: When the frame was captured, when its selection was ready, when the
                caller took the result and when it was done with it, on `time.perf_counter`'s clock.
        """
        # Masks are decoded on first use: that time counts as decoding, not output.
        output_ms = (done_s - taken_s) * 1e3 - result.speed["decode"]
        age_ms = (done_s - captured_s) * 1e3
        with self._lock:
            for stage, ms in {**result.speed, "output": max(output_ms, 0.0)}.items():
                if stage in self._stages:
                    self._stages[stage].add(ms)
            self._age.add(age_ms)
            self._recent_age.add(age_ms, done_s)
            if self._age.count > 1:  # the first frame also opens files and windows
                self._recent_after.add((done_s - selected_s) * 1e3, done_s)
            self._segments += len(result)
            self._embedded += result.crops_embedded
            self._pending += len(result.pending)
            self._done_s = done_s

    def after_selection_ms(self) -> float:
        """p99 of the time from selection until a frame was done, over the last ten seconds, ms; NaN: no frame."""
        with self._lock:
            return self._recent_after.recent(time.perf_counter()).percentiles(99)[0]

    def snapshot(self) -> Snapshot:
        """Return the current statistics, on any thread."""
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
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 3)
    return value
