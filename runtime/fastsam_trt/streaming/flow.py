"""Run a pipeline over a source, with capture, segmentation and selection on threads.

    capture  ->  segment  ->  select  ->  the thread that iterates: drawing, encoding, windows
          captured    segmented   selected

With the policy `every`, frames wait in short queues, and a slow stage holds up the stages before it. With `latest`,
capture is never held up: a newer frame replaces one that waits, and the segmenter begins a frame only when no frame
waits behind it, so that frames do not age in queues. While decisions are pending, the segmenter also waits until the
selection is done: at the same time both would take longer, and the wait for the selection would use up the part of the
frame's budget that is meant for CLIP.
"""

from __future__ import annotations

import atexit
import math
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fastsam_engine.import_names import warn_renamed
from fastsam_trt.errors import FilesFailedError, FlowNotEnteredError
from fastsam_trt.sources import Frame, Source
from fastsam_trt.streaming.channel import BaseChannel, Channel, LatestSlot
from fastsam_trt.streaming.policy import Pacer, Policy, resolve_policy
from fastsam_trt.streaming.stages import CaptureStage, SegmentStage, SelectStage, Stage, StagedFrame, StagedPipeline
from fastsam_trt.streaming.stats import FlowStats

if TYPE_CHECKING:
    from fastsam_trt.results.result import Result

_CAPACITY = 2  # frames per queue with `every`: evens out slow frames, and keeps few images in memory
_RESERVE_EVERY_S = 1.0  # how often the pipeline gets a new `reserve_ms`
_EXIT_S = 12.0  # longest wait of the exiting process for the threads of a flow that was not closed


class Flow(Iterator[tuple[Frame, "Result"]]):
    """Iterates over frames and their results, in order. Use it as a context manager, which ends its threads.

    A frame is done when the caller asks for the next one; its age is measured then. An error in a stage is raised by
    the iteration, after the frames before it. The same holds for errors that a source raises after its last frame. In a
    source of many images, an image that does not fit the prompts is skipped, and counted in the error at the end.

    Attributes:
        policy: `latest` or `every`.
        stats: Counts, rates, ages and queue lengths, for any thread.
    """

    def __init__(self, source: Source, pipeline: StagedPipeline[Any], policy: Policy = "auto") -> None:
        """Create a flow; the `with` block starts its threads.

        Args:
            source: Frames. The flow iterates over it once and does not close it.
            pipeline: Processes the frames.
            policy: `every`: all frames; if a live source is faster than the pipeline, its frames then wait in the
                stream and age. `latest`: the newest frame only; a video plays at its own speed, like a camera. `auto`:
                `latest` for live sources, `every` for files.

        Raises:
            OptionError: The policy is unknown, or `latest` was requested for images.
        """
        self.policy = resolve_policy(policy, source)
        latest = self.policy == "latest"
        self._source = source
        capacity = 1 if latest else _CAPACITY
        captured: BaseChannel[StagedFrame[None]] = LatestSlot() if latest else Channel(capacity)
        self._segmented: Channel[StagedFrame[Any]] = Channel(capacity)
        self._selected: Channel[StagedFrame[Result]] = Channel(capacity)
        queues = {"captured": captured, "segmented": self._segmented, "selected": self._selected}
        self.stats = FlowStats(queues, lambda: source.health, lambda: source.failed)
        pacer = Pacer(source.fps) if latest and source.kind == "video" else None
        self._capture = CaptureStage(source, pacer, captured, self.stats)
        segment = SegmentStage(source, pipeline, self.policy, captured, self._segmented, self._selected, self.stats)
        self._select = SelectStage(source, pipeline, self.policy, self._segmented, self._selected, self.stats)
        self._stages: tuple[Stage, ...] = (self._capture, segment, self._select)
        self._entered = self._stopping = False
        self._join_until_s = math.inf
        self._taken: tuple[StagedFrame[Result], float] | None = None  # the caller's frame, and when it was taken
        self._reserved_s = 0.0
        self._failure_raised = False

    @property
    def figures(self) -> FlowStats:
        """Deprecated: the old name of `stats`."""
        warn_renamed("Flow.figures", "Flow.stats")
        return self.stats

    def __enter__(self) -> Self:
        if self._entered:
            raise FlowNotEnteredError(is_used=True)
        self._entered = True
        atexit.register(self._end_at_exit)  # a generator that holds the flow may be alive until then
        try:
            for stage in self._stages:
                stage.start()
        except BaseException:  # an interrupt
            self._drop_all()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all threads; they finish the frames they work on, whose results are dropped.

        A KeyboardInterrupt after `stop` does not wait for busy threads; nor does the end of the block wait longer than
        `stop` allowed. `ended` tells whether threads are still running. If a stage's thread calls this, because the
        garbage collector closed a generator there, it does not wait either: other threads may need what it holds.
        """
        hurried = self._stopping and kind is not None and issubclass(kind, KeyboardInterrupt)
        try:
            if kind is None:
                self._finish_frame()
        finally:
            self._drop_all()
            if not (hurried or isinstance(threading.current_thread(), Stage) or sys.is_finalizing()):
                self._join()

    def __next__(self) -> tuple[Frame, Result]:
        """Mark the last frame as done, and wait for the next.

        Raises:
            StopIteration: The source has ended, or `stop` was called, and all frames that had begun are done.
            FlowNotEnteredError: The flow is not in a `with` block.
            Exception: The error of a stage or of the source.
        """
        if not self._entered:
            raise FlowNotEnteredError(is_used=False)
        self._finish_frame()
        selected = self._selected.get()
        if selected is None:
            self._raise_end()
            raise StopIteration
        taken_s = time.perf_counter()
        self.stats.record_wait("selected", taken_s - selected.ready_s)
        self._taken = selected, taken_s
        return selected.frame, selected.value

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    @property
    def ended(self) -> bool:
        """Whether all threads have ended."""
        return not any(stage.is_alive() for stage in self._stages)

    def stop(self, within_s: float = math.inf) -> None:
        """Begin no new frame; frames that the segmenter has begun still come out. For any thread or signal handler.

        A source that waits for a camera or stream may go on waiting for a while: see `Source.stop`.

        Args:
            within_s: After this many seconds the frames that had begun are dropped too, and the end of the `with` block
                waits for no thread.
        """
        if within_s < math.inf:
            self._join_until_s = min(self._join_until_s, time.perf_counter() + within_s)
            self._selected.end_by(self._join_until_s)
        if self._stopping:
            return
        self._stopping = True
        self._capture.stop()

    def _raise_end(self) -> None:
        """Raise the error that the flow ended with, once."""
        error, self._selected.error = self._selected.error, None
        if not (self._failure_raised or self._stopping) and (error is None or isinstance(error, FilesFailedError)):
            error = self._source.failure  # frames may have failed after the source was read
        self._failure_raised = True
        if error is not None:
            raise error

    def _drop_all(self) -> None:
        self.stop()
        self._segmented.stop()
        self._selected.stop()
        atexit.unregister(self._end_at_exit)

    def _join(self) -> None:
        for stage in self._stages:
            stage.join(None if self._join_until_s == math.inf else max(self._join_until_s - time.perf_counter(), 0.0))

    def _end_at_exit(self) -> None:
        """End the threads when the process exits: one that returns to a finalised interpreter would abort it."""
        self._drop_all()
        self._join_until_s = time.perf_counter() + _EXIT_S
        self._join()

    def _finish_frame(self) -> None:
        """Record that the caller is done with its frame."""
        if self._taken is None:
            return
        (selected, taken_s), self._taken = self._taken, None
        done_s = time.perf_counter()
        self.stats.record_output(selected.value, selected.frame.captured_s, selected.ready_s, taken_s, done_s)
        if done_s - self._reserved_s > _RESERVE_EVERY_S:
            after_ms = self.stats.after_selection_ms()
            if not math.isnan(after_ms):
                self._reserved_s, self._select.reserve_ms = done_s, after_ms
