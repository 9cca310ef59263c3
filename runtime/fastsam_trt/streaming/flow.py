"""Flow: the stages of a run on threads of their own, so that frames overlap.

    capture  ->  segment  ->  select  ->  whoever iterates: drawing, encoding, windows
          captured    segmented   selected

With the policy `every`, frames wait in short queues, and a stage that is behind holds up those before it. With
`latest`, capture is never held up: a newer frame replaces one that nobody has begun, and the segmenter begins a frame
only when none waits anywhere behind it, so that none grows old in a queue. While decisions are pending, it also waits
until the selection is done: side by side both would take longer, and the frame would wait for its turn, on the time
that its budget has for CLIP.
"""

from __future__ import annotations

import atexit
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from numpy.typing import NDArray

from fastsam_trt.errors import FilesFailedError, FlowNotEnteredError, ImageFormatError, PromptError
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.sources import Frame, Source
from fastsam_trt.streaming.channel import Channel, Handover, LatestSlot
from fastsam_trt.streaming.pace import Pace
from fastsam_trt.streaming.policy import Policy, resolve_policy
from fastsam_trt.streaming.stats import FlowFigures

if TYPE_CHECKING:
    from fastsam_trt.results.result import Result

_CAPACITY = 2  # frames in each queue of `every`: a slow one does not hold up the others, and few pictures are kept
_TELLING_S = 1.0
_EXIT_S = 12.0  # that the end of the process waits for threads whose flow was never left
FRAME_ERRORS = (ImageFormatError, PromptError)
"""What one frame fails with where another may not: a run over many images goes on without it."""

S = TypeVar("S")
V = TypeVar("V")


class Halves(Protocol[S]):
    """The part of a pipeline that a flow uses; each half runs on a thread of its own, frames in order."""

    reserve_ms: float

    def segment(
        self,
        frame: NDArray[Any],
        *,
        captured_s: float | None = None,
        media_s: float | None = None,
        rectangle: Rectangle | None = None,
    ) -> S:
        """Find everything in a frame."""

    def select(self, segmented: S) -> Result:
        """Select what the prompts ask for."""


@dataclass(frozen=True, slots=True, eq=False)
class _Passed(Generic[V]):
    """A frame, what the last stage made of it, and when, on `time.perf_counter`'s clock."""

    frame: Frame
    value: V
    at_s: float


class _Stage(threading.Thread):
    """A thread of a flow."""


class Flow(Iterator[tuple[Frame, "Result"]]):
    """Frames and their results, in order; use it as a context manager, which no thread outlives.

    A frame is done when the next one is asked for: its age is taken then. What fails in a stage comes out of the
    iteration as itself, after the frames before it; so do the errors that a source raises after its last frame. Of a
    source of many images, one that does not fit the prompts is passed over, and counted in what is raised at the end.

    Attributes:
        policy: `latest` or `every`.
        figures: Frames, ages, rates and queues; any thread may ask.
    """

    def __init__(self, source: Source, pipeline: Halves[Any], policy: Policy = "auto") -> None:
        """Prepare; the threads start with the `with` block.

        Args:
            source: Frames. The flow iterates it once and does not close it.
            pipeline: What is done to them.
            policy: `every`: all frames; of a live source that is faster than the pipeline, frames then wait in the
                stream and grow old. `latest`: the newest frame only, and a video is played at its own speed, as a
                camera would. `auto`: `latest` for live sources, `every` for files.

        Raises:
            OptionError: No such policy, or `latest` for images.
        """
        self.policy = resolve_policy(policy, source)
        latest = self.policy == "latest"
        self._source = source
        self._pipeline = pipeline
        self._rectangle: Rectangle = "common" if source.kind == "images" else "smallest"  # frames of one have one size
        self._pace = Pace(source.fps) if latest and source.kind == "video" else None
        capacity = 1 if latest else _CAPACITY
        self._captured: Handover[_Passed[None]] = LatestSlot() if latest else Channel(capacity)
        self._segmented: Channel[_Passed[Any]] = Channel(capacity)
        self._selected: Channel[_Passed[Result]] = Channel(capacity)
        queues = {"captured": self._captured, "segmented": self._segmented, "selected": self._selected}
        self.figures = FlowFigures(queues, lambda: source.health, lambda: source.failed)
        self._entered = self._stopping = self._capture_over = False
        self._end_s = math.inf  # until when threads are waited for
        self._taken: tuple[_Passed[Result], float] | None = None
        self._told_s = 0.0
        self._reserve_ms: float | None = None  # what the pipeline is yet to be told
        self._told_failure = False
        stages = ((self._capture, None, self._captured), (self._segment, self._captured, self._segmented),
                  (self._select, self._segmented, self._selected))  # fmt: skip
        self._threads = [
            _Stage(target=self._run, args=stage, name=f"flow{stage[0].__name__}", daemon=True) for stage in stages
        ]

    def __enter__(self) -> Self:
        if self._entered:
            raise FlowNotEnteredError("one that was used before; make another")
        self._entered = True
        atexit.register(self._leave)  # a generator that holds it may be alive until then
        try:
            for thread in self._threads:
                thread.start()
        except BaseException:  # an interrupt
            self._let_go()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all threads; what they were at is finished and let go.

        A KeyboardInterrupt after `stop` means: at once. Threads that are in the middle of something are not waited for
        then, nor after the time that `stop` was given; `ended` tells whether there are any. Nor does a stage's thread
        wait, on which a generator that nobody refers to may be closed: it may hold what the others wait for.
        """
        hurried = self._stopping and kind is not None and issubclass(kind, KeyboardInterrupt)
        try:
            if kind is None:
                self._finish()
        finally:
            self._let_go()
            if not (hurried or isinstance(threading.current_thread(), _Stage) or sys.is_finalizing()):
                self._join()

    def __next__(self) -> tuple[Frame, Result]:
        """Tell that the last frame is done, and wait for the next.

        Raises:
            StopIteration: The source has ended, or `stop` was called, and all that had begun is done.
            FlowNotEnteredError: It is not in a `with` block.
            Exception: What a stage, or the source, failed with.
        """
        if not self._entered:
            raise FlowNotEnteredError("one outside")
        self._finish()
        passed = self._selected.get()
        if passed is None:
            error, self._selected.error = self._selected.error, None
            if not self._told_failure and not self._stopping and (error is None or isinstance(error, FilesFailedError)):
                error = self._source.failure  # frames may have failed after the source was read
            self._told_failure = True
            if error is not None:
                raise error
            raise StopIteration
        begun_s = self._begin("selected", passed)
        self._taken = passed, begun_s
        return passed.frame, passed.value

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    @property
    def ended(self) -> bool:
        """Whether no thread is left."""
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self, within_s: float = math.inf) -> None:
        """Take no new frame; those that the segmenter has begun still come out. From any thread or signal's handler.

        A source that waits for a camera or stream may go on waiting for a while after that: see `Source.stop`.

        Args:
            within_s: After so many seconds what has begun is let go, too, and the end of the `with` block waits for no
                thread, whatever one is in the middle of.
        """
        if within_s < math.inf:
            self._end_s = min(self._end_s, time.perf_counter() + within_s)
            self._selected.end_by(self._end_s)
        if self._stopping:
            return
        self._stopping = True
        if self._pace is not None:
            self._pace.stop()
        if not self._capture_over:
            self._source.stop()
        self._captured.stop()

    def _let_go(self) -> None:
        self.stop()
        self._segmented.stop()
        self._selected.stop()
        atexit.unregister(self._leave)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(None if self._end_s == math.inf else max(self._end_s - time.perf_counter(), 0.0))

    def _leave(self) -> None:
        """End the threads as the process ends: those that come back to an interpreter that is gone would abort it."""
        self._let_go()
        self._end_s = time.perf_counter() + _EXIT_S
        self._join()

    def _finish(self) -> None:
        if self._taken is None:
            return
        (passed, begun_s), self._taken = self._taken, None
        done_s = time.perf_counter()
        self.figures.took_output(passed.value, passed.frame.captured_s, passed.at_s, begun_s, done_s)
        if done_s - self._told_s > _TELLING_S:
            after_ms = self.figures.after_selection_ms()
            if not math.isnan(after_ms):
                self._told_s, self._reserve_ms = done_s, after_ms

    def _begin(self, queue: str, passed: _Passed[Any]) -> float:
        begun_s = time.perf_counter()
        self.figures.waited(queue, begun_s - passed.at_s)
        return begun_s

    def _run(self, work: Callable[[], None], inbox: Handover[Any] | None, outbox: Handover[Any]) -> None:
        """Work on a thread until the inbox or outbox ends; then end the outbox, with what went wrong here or before.

        What fails here leaves the stages before it waiting for places, until the `with` block ends.
        """
        error: BaseException | None = None
        try:
            work()
        except BaseException as caught:  # noqa: BLE001 - it is raised on the thread of whoever iterates
            caught.add_note(f"raised in the stage {work.__name__.strip('_')!r} of a flow")
            error = caught
        if inbox is None:
            self._capture_over = True
            error = None if self._stopping else error  # nobody wants the frames that it failed to read
        else:
            error = error or inbox.error
        outbox.close(error)

    def _capture(self) -> None:
        frames = iter(self._source)
        while not self._stopping:
            begun_s = time.perf_counter()
            frame = next(frames, None)
            read_s = time.perf_counter()
            if frame is not None and self._pace is not None:
                frame = self._pace.give(frame)
            if frame is None:
                return
            self.figures.took_capture(begun_s, read_s)
            if not self._captured.put(_Passed(frame, None, time.perf_counter())):
                return

    def _segment(self) -> None:
        while self.policy == "every" or (self._segmented.wait_until_empty() and self._selected.wait_until_empty()):
            passed = self._captured.get()
            if passed is None:
                return
            self._begin("captured", passed)
            frame = passed.frame
            try:
                segmented = self._pipeline.segment(
                    frame.image, captured_s=frame.captured_s, media_s=frame.media_s, rectangle=self._rectangle
                )
            except FRAME_ERRORS as error:
                if not self._source.reject(frame, error):
                    raise
                continue
            if not self._segmented.put(_Passed(passed.frame, segmented, time.perf_counter())):
                return

    def _select(self) -> None:
        alone = False
        while (passed := self._segmented.get(hold=alone)) is not None:
            self._begin("segmented", passed)
            reserve_ms, self._reserve_ms = self._reserve_ms, None
            if reserve_ms is not None:  # told here, since who takes results must not wait for whoever sets prompts
                self._pipeline.reserve_ms = reserve_ms
            try:
                result = self._pipeline.select(passed.value)
            except FRAME_ERRORS as error:
                if not self._source.reject(passed.frame, error):
                    raise
                self._segmented.release()
                continue
            alone = self.policy == "latest" and len(result.pending) > 0
            if not self._selected.put(_Passed(passed.frame, result, time.perf_counter())):
                return
            self._segmented.release()
