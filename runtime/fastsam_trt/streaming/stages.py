"""Capture, segment and select frames, each on a thread: the stages of a flow."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar

from numpy.typing import NDArray

from fastsam_trt.errors import ImageFormatError, PromptError
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.sources import Frame, Source
from fastsam_trt.streaming.channel import BaseChannel, Channel
from fastsam_trt.streaming.policy import Pacer
from fastsam_trt.streaming.stats import FlowStats

if TYPE_CHECKING:
    from fastsam_trt.results.result import Result

FRAME_ERRORS = (ImageFormatError, PromptError)
"""Errors that concern one frame only: a run over many images goes on without that frame."""

S = TypeVar("S")
V = TypeVar("V")


class StagedPipeline(Protocol[S]):
    """The part of a pipeline that a flow calls; `segment` and `select` run on different threads, frames in order.

    Attributes:
        reserve_ms: Time that a frame needs after its selection, ms; the flow sets it.
    """

    reserve_ms: float

    def segment(self, frame: NDArray[Any], *, captured_s: float, media_s: float | None, rectangle: Rectangle) -> S:
        """Find all segments of a frame."""

    def select(self, segmented: S) -> Result:
        """Select the segments that match the prompts."""


@dataclass(frozen=True, slots=True, eq=False)
class StagedFrame(Generic[V]):
    """A frame, the output of the last stage for it, and when that was ready, on `time.perf_counter`'s clock."""

    frame: Frame
    value: V
    ready_s: float


class Stage(threading.Thread, ABC):
    """Processes frames until its input or output ends, then closes its output with the error, if there was one.

    After a failure the stages before it wait for free slots until the flow ends.
    """

    label: ClassVar[str]

    def __init__(self, output: BaseChannel[Any], stats: FlowStats) -> None:
        super().__init__(name=f"flow_{self.label}", daemon=True)
        self._output = output
        self._stats = stats

    def run(self) -> None:
        """Process frames; called on the thread."""
        error: BaseException | None = None
        try:
            self._process()
        except BaseException as caught:  # noqa: BLE001 - the thread that iterates the flow raises it
            caught.add_note(f"raised in the stage {self.label!r} of a flow")
            error = caught
        self._output.close(self._final_error(error))

    @abstractmethod
    def _process(self) -> None:
        """Process frames until the input or output ends."""

    @abstractmethod
    def _final_error(self, error: BaseException | None) -> BaseException | None:
        """The error to close the output with.

        Args:
            error: The error of this stage.
        """


class CaptureStage(Stage):
    """Reads the frames of a source."""

    label = "capture"

    def __init__(
        self, source: Source, pacer: Pacer | None, captured: BaseChannel[StagedFrame[None]], stats: FlowStats
    ) -> None:
        super().__init__(captured, stats)
        self._source = source
        self._pacer = pacer
        self._captured = captured
        self._stopping = self._ended = False

    def stop(self) -> None:
        """Read no more frames. For any thread or signal handler."""
        self._stopping = True
        if self._pacer is not None:
            self._pacer.stop()
        if not self._ended:
            self._source.stop()
        self._captured.stop()

    def _process(self) -> None:
        frames = iter(self._source)
        while not self._stopping:
            begin_s = time.perf_counter()
            frame = next(frames, None)
            end_s = time.perf_counter()
            if frame is not None and self._pacer is not None:
                frame = self._pacer.wait_until_due(frame)
            if frame is None:
                return
            self._stats.record_capture(begin_s, end_s)
            if not self._captured.put(StagedFrame(frame, None, time.perf_counter())):
                return

    def _final_error(self, error: BaseException | None) -> BaseException | None:
        self._ended = True
        return None if self._stopping else error  # frames that could not be read are not needed after a stop


class SegmentStage(Stage):
    """Segments captured frames."""

    label = "segment"

    def __init__(
        self,
        source: Source,
        pipeline: StagedPipeline[S],
        policy: Literal["latest", "every"],
        captured: BaseChannel[StagedFrame[None]],
        segmented: Channel[StagedFrame[S]],
        selected: Channel[StagedFrame[Result]],
        stats: FlowStats,
    ) -> None:
        super().__init__(segmented, stats)
        self._source, self._pipeline, self._policy = source, pipeline, policy
        self._rectangle: Rectangle = "common" if source.kind == "images" else "smallest"  # videos have one frame size
        self._captured, self._segmented, self._selected = captured, segmented, selected

    def _process(self) -> None:
        while self._may_begin():
            captured = self._captured.get()
            if captured is None:
                return
            self._stats.record_wait("captured", time.perf_counter() - captured.ready_s)
            frame = captured.frame
            try:
                segmented = self._pipeline.segment(
                    frame.image, captured_s=frame.captured_s, media_s=frame.media_s, rectangle=self._rectangle
                )
            except FRAME_ERRORS as error:
                if not self._source.reject(frame, error):
                    raise
                continue
            if not self._segmented.put(StagedFrame(frame, segmented, time.perf_counter())):
                return

    def _may_begin(self) -> bool:
        """Under `latest`, wait until no frame waits behind this stage; False: the flow was stopped."""
        return self._policy == "every" or (self._segmented.wait_until_empty() and self._selected.wait_until_empty())

    def _final_error(self, error: BaseException | None) -> BaseException | None:
        return error or self._captured.error


class SelectStage(Stage):
    """Selects from segmented frames.

    Attributes:
        reserve_ms: A value for the pipeline's `reserve_ms`, set before the next selection; None: no change. A
            pipeline's setter may block, so the thread that takes results does not call it.
    """

    label = "select"

    def __init__(
        self,
        source: Source,
        pipeline: StagedPipeline[S],
        policy: Literal["latest", "every"],
        segmented: Channel[StagedFrame[S]],
        selected: Channel[StagedFrame[Result]],
        stats: FlowStats,
    ) -> None:
        super().__init__(selected, stats)
        self.reserve_ms: float | None = None
        self._source, self._pipeline, self._policy = source, pipeline, policy
        self._segmented, self._selected = segmented, selected

    def _process(self) -> None:
        decisions_pending = False  # then the segmenter waits for the selection: see `Flow`
        while (segmented := self._segmented.get(hold=decisions_pending)) is not None:
            self._stats.record_wait("segmented", time.perf_counter() - segmented.ready_s)
            reserve_ms, self.reserve_ms = self.reserve_ms, None
            if reserve_ms is not None:
                self._pipeline.reserve_ms = reserve_ms
            try:
                result = self._pipeline.select(segmented.value)
            except FRAME_ERRORS as error:
                if not self._source.reject(segmented.frame, error):
                    raise
                self._segmented.release()
                continue
            decisions_pending = self._policy == "latest" and len(result.pending) > 0
            if not self._selected.put(StagedFrame(segmented.frame, result, time.perf_counter())):
                return
            self._segmented.release()

    def _final_error(self, error: BaseException | None) -> BaseException | None:
        return error or self._segmented.error
