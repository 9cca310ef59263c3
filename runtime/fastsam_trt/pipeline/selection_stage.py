"""SelectionStage: track the segments of one stream of frames, and select from them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from fastsam_trt.clip.embedder import CropEmbedder, Embedder, LatencyBudget
from fastsam_trt.clip.model import Clip
from fastsam_trt.clip.track_embedder import TrackEmbedder
from fastsam_trt.errors import PromptError
from fastsam_trt.pipeline.call_options import CallOptions
from fastsam_trt.pipeline.models import Models
from fastsam_trt.prompts.prompt_set import PromptSet
from fastsam_trt.prompts.text_options import TextOptions
from fastsam_trt.results.result import Result
from fastsam_trt.segmentation.segments import SegmentedFrame
from fastsam_trt.selectors import Ranking
from fastsam_trt.selectors.build import PromptSelectors, build_selectors
from fastsam_trt.tracking import Tracker

_WARM_SHAPE = (720, 1280, 3)  # a common frame size; the time per crop hardly depends on it


class SelectionStage:
    """Tracks and selects. Any thread may call it.

    Independent frames are processed in parallel. Frames of one stream share tracks and the CLIP embeddings of these
    tracks, so one frame is processed at a time, and a call of `rank` waits for its turn.

    Attributes:
        selectors: The selectors of the current prompts.
        options: How text prompts are matched.
        tracked: Whether the frames are one stream.
        stream: Identifies the frames of this stage: the track ids mean nothing in another.
        reserve_ms: Part of the budget that later stages need. May be set between frames.
    """

    def __init__(
        self,
        models: Models,
        options: TextOptions,
        prompt_set: PromptSet,
        *,
        tracked: bool,
        budget_ms: float | None,
    ) -> None:
        """Start without tracks.

        Args:
            models: The open models.
            options: How text prompts are matched.
            prompt_set: What is selected.
            tracked: Whether the frames are one stream.
            budget_ms: See `Pipeline`.

        Raises:
            FastsamError: As `build`.
        """
        self.tracked = tracked
        self.stream = object()
        self.reserve_ms = 0.0
        self._models, self.options = models, options
        self._tracker = Tracker() if tracked else None
        self._turn: AbstractContextManager[object] = threading.Lock() if tracked else nullcontext()
        self._opening = threading.Lock()
        self._embedder: Embedder | None = None
        self._budget_ms = budget_ms
        self.selectors = self.build(prompt_set, models.segmenter.thresholds.classes)

    def build(
        self, prompt_set: PromptSet, classes: tuple[int, ...] | None, options: TextOptions | None = None
    ) -> PromptSelectors:
        """Build the selectors for other prompts; `selectors` does not change.

        Args:
            prompt_set: What is selected.
            classes: Ids of the classes that the segmenter returns; None: all.
            options: How text prompts are matched; None: as usual. `crop` is always as usual.

        Raises:
            FastsamError: The prompts contradict each other, or need a CLIP model that can't be opened.
        """
        class_names = self._models.segmenter.class_names
        return build_selectors(prompt_set, options or self.options, class_names, self._clip_for, classes)

    def selectors_for(self, call: CallOptions, classes: tuple[int, ...] | None) -> PromptSelectors:
        """The selectors of a call: those of the current prompts, unless the call selects otherwise.

        Args:
            call: The options of the call.
            classes: As for `build`.

        Raises:
            FastsamError: As `build`, or an option of the call is invalid.
        """
        selectors = self.selectors  # read once, since another thread may replace them
        if not call.needs_selectors:
            return selectors
        return self.build(call.prompt_set(selectors.prompt_set), classes, call.text_options(self.options))

    def select(self, segmented: SegmentedFrame, selectors: PromptSelectors, most: int | None) -> Result:
        """Track the segments of a frame and select from them.

        Args:
            segmented: The frame and its segments; tracked frames in order.
            selectors: The selectors to use.
            most: Most selected segments; None: all.

        Raises:
            PromptError: A box lies completely outside the frame, or a point outside it.
        """
        start_s = time.perf_counter()
        segments = segmented.segments
        with self._turn:
            if self._tracker is not None:
                ids = self._tracker.update(segments, segmented.frame, segmented.media_s)
                segments = replace(segments, track_ids=ids)
            if self._embedder is not None:
                self._embedder.begin(segments, self._budget(segmented.captured_s))
            selection = selectors.selector.select(segmented.frame, segments)
        if most is not None:
            selection = selection.best(segments.scores, most)
        segmenter = self._models.segmenter
        return Result(
            segmented.frame.view(),  # a stored result does not keep the upload of its frame
            segments,
            selection,
            class_names=segmenter.class_names,
            class_agnostic=segmenter.class_agnostic,
            prompts=selectors.prompt_set.prompts,
            speed={**segmented.segments.speed_ms, "select": (time.perf_counter() - start_s) * 1e3},
            crops_embedded=selection.crops_embedded,
            stream=self.stream,
        )

    def rank(self, result: Result) -> Ranking:
        """Compare every segment of a result with the current text prompts.

        Raises:
            PromptError: There is no text prompt.
        """
        text_selector = self.selectors.text_selector
        if text_selector is None:
            raise PromptError("expected a text prompt to rank by, found none; set prompts")
        image = self._models.uploads.register(result.frame)
        with self._turn:
            return text_selector.rank(image, result.segments)

    def set_budget(self, budget_ms: float | None) -> None:
        """Set the age that a frame may have when its result is out; None: no limit."""
        with self._opening:
            if self._budget_ms is None and budget_ms is not None and self._embedder is not None:
                with self._turn:
                    self._embedder.warm(_WARM_SHAPE)
            self._budget_ms = budget_ms

    def _budget(self, captured_s: float | None) -> LatencyBudget | None:
        budget_ms = self._budget_ms
        if budget_ms is None or captured_s is None:
            return None
        return LatencyBudget(captured_s, budget_ms, self.reserve_ms)

    def _clip_for(self, prompt: str) -> tuple[Clip, Embedder]:
        clip = self._models.clip.get(prompt)
        with self._opening:
            if self._embedder is None:
                new_embedder = TrackEmbedder if self.tracked else CropEmbedder
                embedder = new_embedder(clip, masked=self.options.crop == "masked", uploads=self._models.uploads)
                if self._budget_ms is not None:
                    embedder.warm(_WARM_SHAPE)  # before the first frame, so that the time per crop is known
                self._embedder = embedder
            return clip, self._embedder


class StreamSteps:
    """The two steps of a pipeline for the frames of one stream, as `Flow` runs them.

    Attributes:
        segment, select: As `Pipeline.segment` and `Pipeline.select`.
    """

    def __init__(
        self, segment: Callable[..., SegmentedFrame], select: Callable[[SegmentedFrame], Result], stage: SelectionStage
    ) -> None:
        """Combine the steps with the stage that `select` uses."""
        self.segment, self.select = segment, select
        self._stage = stage

    @property
    def reserve_ms(self) -> float:
        """The part of the budget that later stages need."""
        return self._stage.reserve_ms

    @reserve_ms.setter
    def reserve_ms(self, reserve_ms: float) -> None:
        self._stage.reserve_ms = reserve_ms
