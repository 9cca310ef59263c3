"""Prompted: the prompts of a pipeline, as attributes that may be set while it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsam_trt.places import check_boxes, check_point_labels, check_points
from fastsam_trt.prompts import check_prompts
from fastsam_trt.question import Question


class Prompted(ABC):
    """Something that a question can be put to."""

    @property
    @abstractmethod
    def question(self) -> Question:
        """What is asked at the moment."""

    @abstractmethod
    def _ask(self, **changes: Any) -> None:
        """Put the question of the moment with some of its attributes changed; it stays where that is refused."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """Texts that are selected. May be set between frames, as `excluded`, `boxes` and points: nothing is rebuilt.

        Any thread may set them while others segment and select.
        """
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
        checked, asked = check_points(points), self.question
        self.set_points(checked, asked.point_labels if asked.labelled and len(checked) else None)

    @property
    def point_labels(self) -> NDArray[np.int32]:
        """(k,) read-only: 1 for each foreground, 0 for each background point. Setting None makes all foreground."""
        return self.question.point_labels

    @point_labels.setter
    def point_labels(self, labels: ArrayLike | None) -> None:
        self.set_points(self.points, labels)

    def set_points(self, points: ArrayLike | None, labels: ArrayLike | None = None) -> None:
        """Set `points` and `point_labels` together.

        Raises:
            PromptError: As for either; nothing has changed then.
        """
        checked = check_points(points)
        self._ask(points=checked, point_labels=check_point_labels(labels, len(checked)), labelled=labels is not None)
