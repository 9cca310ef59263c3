"""LiveSettings: the prompts, tracking and budget of a pipeline, which may change while it runs."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Generic, Self, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsam_trt.errors import OptionError
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.pipeline.call_options import check_max_selected
from fastsam_trt.pipeline.models import Models
from fastsam_trt.pipeline.selection_stage import SelectionStage
from fastsam_trt.prompts.prompt_set import PromptSet
from fastsam_trt.prompts.regions import OutsideName, check_boxes, check_points
from fastsam_trt.prompts.text_options import TextOptions
from fastsam_trt.prompts.texts import check_prompts

Value = TypeVar("Value")
NewValue = TypeVar("NewValue")


class Setting(Generic[Value, NewValue]):
    """Forwards an attribute of a pipeline to the attribute of that name of its `LiveSettings`."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self.__doc__ = getattr(LiveSettings, name).__doc__

    @overload
    def __get__(self, pipeline: None, owner: type) -> Self: ...

    @overload
    def __get__(self, pipeline: Any, owner: type) -> Value: ...

    def __get__(self, pipeline: Any, owner: type) -> Any:
        return self if pipeline is None else getattr(pipeline._settings, self._name)  # noqa: SLF001

    def __set__(self, pipeline: Any, value: NewValue) -> None:
        setattr(pipeline._settings, self._name, value)  # noqa: SLF001


class LiveSettings:
    """Settings that any thread may change while others segment and select.

    A change takes effect in all streams, from the next frame that is selected from. Changes wait for each other, and a
    refused change changes nothing.

    Attributes:
        stage: Selects from the frames of single calls; every stream has another stage.
    """

    def __init__(
        self,
        models: Models,
        options: TextOptions,
        prompt_set: PromptSet,
        max_selected: int | None,
        *,
        track: bool,
        budget_ms: float | None,
    ) -> None:
        """Build the selectors for the first prompts.

        Args:
            models: The open models.
            options: How text prompts are matched.
            prompt_set: What is selected.
            max_selected, track, budget_ms: See `Pipeline`.

        Raises:
            FastsamError: As `SelectionStage.build`.
        """
        self._changing = threading.RLock()
        self._models, self._options = models, options
        self.max_selected = max_selected
        self._budget_ms = check_budget(budget_ms)
        self._streams: tuple[SelectionStage, ...] = ()
        self.stage = self._new_stage(prompt_set, tracked=track)

    @property
    def prompt_set(self) -> PromptSet:
        """The current prompts."""
        return self.stage.selectors.prompt_set

    @property
    def track(self) -> bool:
        """Whether successive calls pass the frames of one stream. Setting it drops all tracks and their embeddings."""
        return self.stage.tracked

    @track.setter
    def track(self, track: bool) -> None:
        with self._changing:
            self.stage = self._new_stage(self.prompt_set, tracked=track)

    @property
    def rectangle(self) -> Rectangle:
        """The input size to use by default: the frames of one stream have one size."""
        return "smallest" if self.track else "common"

    @property
    def budget_ms(self) -> float | None:
        """Age that a frame may have when its result is out; None: no limit."""
        return self._budget_ms

    @budget_ms.setter
    def budget_ms(self, budget_ms: float | None) -> None:
        with self._changing:
            self._budget_ms = check_budget(budget_ms)
            for stage in (self.stage, *self._streams):
                stage.set_budget(budget_ms)

    @property
    def reserve_ms(self) -> float:
        """Part of the budget that later stages need."""
        return self.stage.reserve_ms

    @reserve_ms.setter
    def reserve_ms(self, reserve_ms: float) -> None:
        self.stage.reserve_ms = reserve_ms

    @property
    def max_selected(self) -> int | None:
        """Most selected segments per frame; None: all."""
        return self._max_selected

    @max_selected.setter
    def max_selected(self, max_selected: int | None) -> None:
        self._max_selected = check_max_selected(max_selected)

    @property
    def prompts(self) -> tuple[str, ...]:
        """Texts that name what to select."""
        return self.prompt_set.prompts

    @prompts.setter
    def prompts(self, prompts: Iterable[str]) -> None:
        checked = check_prompts(prompts)
        self._change(lambda current: replace(current, prompts=checked))

    @property
    def excluded(self) -> tuple[str, ...]:
        """Texts that name what not to select."""
        return self.prompt_set.excluded

    @excluded.setter
    def excluded(self, excluded: Iterable[str]) -> None:
        checked = check_prompts(excluded)
        self._change(lambda current: replace(current, excluded=checked))

    @property
    def boxes(self) -> NDArray[np.float64]:
        """(k, 4) xyxy, px of the frame, read-only."""
        return self.prompt_set.boxes

    @boxes.setter
    def boxes(self, boxes: ArrayLike | None) -> None:
        checked = check_boxes(boxes)
        self._change(lambda current: replace(current, boxes=checked))

    @property
    def points(self) -> NDArray[np.float64]:
        """(k, 2) xy, px of the frame, read-only. Setting them keeps labels that the caller has set."""
        return self.prompt_set.points

    @points.setter
    def points(self, points: ArrayLike | None) -> None:
        checked = check_points(points)
        self._change(lambda current: current.with_points(checked))

    @property
    def point_labels(self) -> NDArray[np.int32]:
        """(k,), 1 foreground, 0 background, read-only. Setting None makes all points foreground."""
        return self.prompt_set.point_labels

    @point_labels.setter
    def point_labels(self, labels: ArrayLike | None) -> None:
        self._change(lambda current: current.with_labelled_points(current.points, labels))

    def set_points(self, points: ArrayLike | None, labels: ArrayLike | None) -> None:
        """Set `points` and `point_labels` together."""
        self._change(lambda current: current.with_labelled_points(points, labels))

    def set_regions(
        self, boxes: ArrayLike | None, points: ArrayLike | None, labels: ArrayLike | None, outside: OutsideName
    ) -> None:
        """Set `boxes`, `points` and `point_labels` together."""
        self._change(lambda current: current.with_regions(boxes, points, labels, outside))

    @property
    def threshold(self) -> float:
        """Lowest similarity of a segment that CLIP selects, 0..1."""
        return self._options.threshold

    @threshold.setter
    def threshold(self, threshold: float) -> None:
        with self._changing:
            self._change(lambda current: current, replace(self._options, threshold=threshold))

    @contextmanager
    def stream(self, *, tracked: bool) -> Iterator[SelectionStage]:
        """Add a stage for one stream of frames, with separate tracks and the common prompts."""
        with self._changing:
            stage = self._new_stage(self.prompt_set, tracked=tracked)
            self._streams += (stage,)
        try:
            yield stage
        finally:
            with self._changing:
                self._streams = tuple(other for other in self._streams if other is not stage)

    def stage_of(self, stream: object) -> SelectionStage:
        """Return the stage that selected from a stream; if that stage is gone, one without tracks."""
        stages = (stage for stage in (self.stage, *self._streams) if stage.stream is stream)
        return next(stages, None) or self._new_stage(self.prompt_set, tracked=False)

    def _change(self, changed: Callable[[PromptSet], PromptSet], options: TextOptions | None = None) -> None:
        with self._changing:
            prompt_set, classes = changed(self.prompt_set), self._models.segmenter.thresholds.classes
            options = options or self._options
            stages = (self.stage, *self._streams)
            built = [stage.build(prompt_set, classes, options) for stage in stages]
            self._options = options
            for stage, selectors in zip(stages, built, strict=True):
                stage.options, stage.selectors = options, selectors

    def _new_stage(self, prompt_set: PromptSet, *, tracked: bool) -> SelectionStage:
        return SelectionStage(self._models, self._options, prompt_set, tracked=tracked, budget_ms=self._budget_ms)


def check_budget(budget_ms: float | None) -> float | None:
    """Check the age that a frame may have when its result is out, ms.

    Raises:
        OptionError: It is not a positive, finite number.
    """
    if budget_ms is not None and not 0 < budget_ms < math.inf:
        raise OptionError("budget_ms", "a number of ms above 0", budget_ms)
    return budget_ms
