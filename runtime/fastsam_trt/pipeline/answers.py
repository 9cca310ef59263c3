"""Answers: what answers the prompts of a pipeline, for frames that follow one another or stand alone."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.clip.embedder import CropEmbedder, Embedder, LatencyBudget
from fastsam_trt.clip.lazy_model import LazyClip
from fastsam_trt.clip.model import Clip
from fastsam_trt.clip.track_embedder import TrackEmbedder
from fastsam_trt.prompts.prompt_set import Question, TextRules
from fastsam_trt.segmentation.segments import SegmentedFrame, Segments
from fastsam_trt.selectors import Ranking, Selection, Selector, TextSelector
from fastsam_trt.selectors.build import build_selectors
from fastsam_trt.tracking import Tracker

_WARM_SHAPE = (720, 1280, 3)  # a usual frame: the time of a crop hardly depends on it


@dataclass(frozen=True, slots=True, eq=False)
class Answering:
    """What answers a question, all of which changes at once.

    Attributes:
        question: What is asked.
        selector, ranker: What answers it; the latter its texts alone, None where there are none.
    """

    question: Question
    selector: Selector
    ranker: TextSelector | None


class Answers:
    """Answers questions. Any thread may ask.

    Frames that stand alone are answered side by side. Frames that follow one another share tracks and the embeddings
    that CLIP made along them, so that they, and what is ranked between them, take turns.

    Attributes:
        answering: What answers the question of the moment.
        tracked: Whether frames follow one another.
        frames: Stands for the frames that are answered here: the ids of their tracks mean nothing elsewhere.
        reserve_ms: Part of the budget that is kept for the stages after selecting. May be set between frames.
    """

    def __init__(
        self,
        rules: TextRules,
        class_names: tuple[str, ...],
        clip: LazyClip,
        question: Question,
        classes: tuple[int, ...] | None,
        *,
        tracked: bool,
        budget_ms: float | None,
    ) -> None:
        """Begin without tracks.

        Args:
            rules: How texts are answered.
            class_names: The segmentation model's classes, by id.
            clip: The CLIP model, for the prompts that need it.
            question, classes: See `to`.
            tracked: Whether frames follow one another.
            budget_ms: See `Pipeline`.

        Raises:
            FastsamError: As `to`.
        """
        self.tracked = tracked
        self.frames = object()
        self.reserve_ms = 0.0
        self._rules, self._class_names, self._clip = rules, class_names, clip
        self._tracker = Tracker() if tracked else None
        self._turn: AbstractContextManager[object] = threading.Lock() if tracked else nullcontext()
        self._making = threading.Lock()
        self._embedder: Embedder | None = None
        self._budget_ms = budget_ms
        self.answering = self.to(question, classes)

    def to(self, question: Question, classes: tuple[int, ...] | None, rules: TextRules | None = None) -> Answering:
        """Make what answers a question; `answering` stays what it is.

        Args:
            question: What is asked.
            classes: Ids of the classes whose segments come; None: all.
            rules: How its texts are answered; None: as usual. What CLIP sees of a segment is always as usual.

        Raises:
            FastsamError: It contradicts itself, or needs a CLIP model that can't be had.
        """
        ranker, selector = build_selectors(question, rules or self._rules, self._class_names, self._for_prompt, classes)
        return Answering(question, selector, ranker)

    def select(self, segmented: SegmentedFrame, answering: Answering) -> tuple[Segments, Selection]:
        """Select from a frame.

        Args:
            segmented: The frame and its segments; frames in their order where they are tracked.
            answering: What `to` gave.

        Returns:
            Its segments, with their tracks, and which of them answer.

        Raises:
            PromptError: A box lies wholly outside the frame, or a point outside it.
        """
        segments = segmented.segments
        with self._turn:
            if self._tracker is not None:
                ids = self._tracker.update(segments, segmented.frame, segmented.media_s)
                segments = replace(segments, track_ids=ids)
            if self._embedder is not None:
                self._embedder.begin(segments, self._budget(segmented.captured_s))
            return segments, answering.selector.select(segmented.frame, segments)

    def rank(self, picture: NDArray[np.uint8], segments: Segments) -> Ranking | None:
        """Compare every segment of a frame, (H, W, 3) uint8 BGR, with the texts of the moment; None: there are none."""
        ranker = self.answering.ranker
        if ranker is None:
            return None
        with self._turn:
            return ranker.rank(picture, segments)

    def keep_budget(self, budget_ms: float | None) -> None:
        """Set the age of a frame, when its result is out, that is kept by embedding crops later; None: any."""
        with self._making:
            first = self._budget_ms is None and budget_ms is not None
            if first and self._embedder is not None:
                with self._turn:
                    self._embedder.warm(_WARM_SHAPE)
            self._budget_ms = budget_ms

    def _budget(self, captured_s: float | None) -> LatencyBudget | None:
        budget_ms = self._budget_ms
        if budget_ms is None or captured_s is None:
            return None
        return LatencyBudget(captured_s, budget_ms, self.reserve_ms)

    def _for_prompt(self, prompt: str) -> tuple[Clip, Embedder]:
        clip = self._clip.get(prompt)
        with self._making:
            if self._embedder is None:
                embedder = (TrackEmbedder if self.tracked else CropEmbedder)(clip, masked=self._rules.crop == "masked")
                if self._budget_ms is not None:
                    embedder.warm(_WARM_SHAPE)  # before frames come, so that the time of a crop is known
                self._embedder = embedder
            return clip, self._embedder
