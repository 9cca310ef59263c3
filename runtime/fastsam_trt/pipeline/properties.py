"""Prompted: what may be set on a pipeline while it runs: prompts, tracks and the budget."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsam_trt.errors import OptionError
from fastsam_trt.pipeline.answers import Answers
from fastsam_trt.prompts.prompt_set import Question
from fastsam_trt.prompts.regions import check_boxes, check_point_labels, check_points
from fastsam_trt.prompts.texts import check_prompts


class Prompted:
    """Something that a question can be put to, by any thread, while others segment and select.

    A change holds from the next frame on that is selected from, in all streams; changes wait for each other.
    """

    def __init__(
        self,
        question: Question,
        answers: Callable[..., Answers],
        kept_classes: Callable[[], tuple[int, ...] | None],
        *,
        track: bool,
        budget_ms: float | None,
    ) -> None:
        """Put the first question.

        Args:
            question: What is asked.
            answers: Makes answers, see `Answers` for what it takes from `question` on.
            kept_classes: Ids of the classes whose segments come; None: all.
            track, budget_ms: See `Pipeline`.

        Raises:
            FastsamError: It can't be answered.
        """
        self._changing = threading.RLock()
        self._make_answers, self._kept_classes = answers, kept_classes
        self._budget_ms = _check_budget(budget_ms)
        self._streams: tuple[Answers, ...] = ()
        self._own = self._answers(question, tracked=track)

    @property
    def question(self) -> Question:
        """What is asked at the moment."""
        return self._own.answering.question

    @property
    def track(self) -> bool:
        """Whether frames follow one another. Setting it begins anew: no track or embedding of before is used."""
        return self._own.tracked

    @track.setter
    def track(self, track: bool) -> None:
        with self._changing:
            self._own = self._answers(self.question, tracked=track)

    @property
    def budget_ms(self) -> float | None:
        """Age of a frame when its result is out, which is kept by embedding crops later; None: they are never late."""
        return self._budget_ms

    @budget_ms.setter
    def budget_ms(self, budget_ms: float | None) -> None:
        with self._changing:
            self._budget_ms = _check_budget(budget_ms)
            for answers in (self._own, *self._streams):
                answers.keep_budget(budget_ms)

    @property
    def reserve_ms(self) -> float:
        """What of the budget is left to what comes after selecting: masks, drawing, encoding. `Flow` measures it."""
        return self._own.reserve_ms

    @reserve_ms.setter
    def reserve_ms(self, reserve_ms: float) -> None:
        self._own.reserve_ms = reserve_ms

    @property
    def prompts(self) -> tuple[str, ...]:
        """Texts that are selected. May be set between frames, as `excluded`, `boxes` and points: nothing is rebuilt."""
        return self.question.prompts

    @prompts.setter
    def prompts(self, prompts: Iterable[str]) -> None:
        self._ask(prompts=check_prompts(prompts))

    @property
    def excluded(self) -> tuple[str, ...]:
        """Texts that are not selected."""
        return self.question.excluded

    @excluded.setter
    def excluded(self, excluded: Iterable[str]) -> None:
        self._ask(excluded=check_prompts(excluded))

    @property
    def boxes(self) -> NDArray[np.float64]:
        """(k, 4) xyxy, px of the frame, read-only: the box prompts."""
        return self.question.boxes

    @boxes.setter
    def boxes(self, boxes: ArrayLike | None) -> None:
        self._ask(boxes=check_boxes(boxes))

    @property
    def points(self) -> NDArray[np.float64]:
        """(k, 2) xy, px of the frame, read-only: the point prompts.

        Setting them keeps the labels that were given, so there must be as many as before; `set_points` sets both. No
        points: no labels either.
        """
        return self.question.points

    @points.setter
    def points(self, points: ArrayLike | None) -> None:
        checked = check_points(points)
        with self._changing:
            asked = self.question
            self.set_points(checked, asked.point_labels if asked.labelled and len(checked) else None)

    @property
    def point_labels(self) -> NDArray[np.int32]:
        """(k,) read-only: 1 for each foreground, 0 for each background point. Setting None makes all foreground."""
        return self.question.point_labels

    @point_labels.setter
    def point_labels(self, labels: ArrayLike | None) -> None:
        with self._changing:
            self.set_points(self.points, labels)

    def set_points(self, points: ArrayLike | None, labels: ArrayLike | None = None) -> None:
        """Set `points` and `point_labels` together.

        Raises:
            PromptError: As for either; nothing has changed then.
        """
        checked = check_points(points)
        self._ask(points=checked, point_labels=check_point_labels(labels, len(checked)), labelled=labels is not None)

    def _ask(self, **changes: Any) -> None:
        """Put the question of the moment with some of its attributes changed; it stays where that is refused."""
        with self._changing:
            question, classes = replace(self.question, **changes), self._kept_classes()
            everyone = (self._own, *self._streams)
            made = [answers.to(question, classes) for answers in everyone]
            for answers, answering in zip(everyone, made, strict=True):
                answers.answering = answering

    @contextmanager
    def _streaming(self, *, tracked: bool) -> Iterator[Answers]:
        """Answers for the frames of one stream, with tracks of their own, to whatever is asked meanwhile."""
        with self._changing:
            answers = self._answers(self.question, tracked=tracked)
            self._streams += (answers,)
        try:
            yield answers
        finally:
            with self._changing:
                self._streams = tuple(each for each in self._streams if each is not answers)

    def _answers_of(self, frames: object) -> Answers:
        """What answered some frames; where that is over, answers that keep nothing of any frame."""
        found = next((answers for answers in (self._own, *self._streams) if answers.frames is frames), None)
        return found or self._answers(self.question, tracked=False)

    def _answers(self, question: Question, *, tracked: bool) -> Answers:
        return self._make_answers(question, self._kept_classes(), tracked=tracked, budget_ms=self._budget_ms)


def _check_budget(budget_ms: float | None) -> float | None:
    if budget_ms is not None and not 0 < budget_ms < math.inf:
        raise OptionError("budget_ms", "a number of ms above 0", budget_ms)
    return budget_ms
