"""CallOptions: the options of one call, which replace those of its pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, TypeAlias, TypedDict

from numpy.typing import ArrayLike

from fastsam_trt.errors import OptionError
from fastsam_trt.frames.image import ColourOrder
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.prompts.prompt_set import PromptSet
from fastsam_trt.prompts.text_options import TextOptions
from fastsam_trt.prompts.texts import SelectorName, class_ids
from fastsam_trt.segmentation.decoder import Thresholds

Classes: TypeAlias = Iterable[int | str] | int | str


class CallKeywords(TypedDict, total=False):
    """The keyword arguments of `Pipeline.process`, for type checkers."""

    colours: ColourOrder | None
    captured_s: float | None
    media_s: float | None
    prompts: Iterable[str] | None
    boxes: ArrayLike | None
    points: ArrayLike | None
    point_labels: ArrayLike | None
    excluded: Iterable[str] | None
    selector: SelectorName | None
    threshold: float | None
    conf: float | None
    iou: float | None
    max_segments: int | None
    max_selected: int | None
    classes: Classes | None
    rectangle: Rectangle | None


@dataclass(frozen=True, slots=True, eq=False)
class CallOptions:
    """The options of one call; None: as the pipeline's. See `Pipeline` for their meaning.

    Attributes:
        prompts, excluded, boxes, points, point_labels: What is selected; `[]`: none.
        selector, threshold: How text prompts are matched.
        conf, iou, max_segments, classes: Which segments there are.
        max_selected: Most selected segments.
        rectangle: The size of the model's input.
    """

    prompts: Iterable[str] | None = None
    excluded: Iterable[str] | None = None
    boxes: ArrayLike | None = None
    points: ArrayLike | None = None
    point_labels: ArrayLike | None = None
    selector: SelectorName | None = None
    threshold: float | None = None
    conf: float | None = None
    iou: float | None = None
    max_segments: int | None = None
    classes: Classes | None = None
    max_selected: int | None = None
    rectangle: Rectangle | None = None

    @property
    def needs_selectors(self) -> bool:
        """Whether the call needs new selectors, because it selects otherwise than the pipeline."""
        prompts = (self.prompts, self.excluded, self.boxes, self.points, self.point_labels)
        return any(option is not None for option in (*prompts, self.selector, self.threshold, self.classes))

    def prompt_set(self, usual: PromptSet) -> PromptSet:
        """Return the prompts of the call.

        Raises:
            PromptError: A prompt, box, point or label is invalid.
        """
        return usual.with_changes(
            prompts=self.prompts,
            excluded=self.excluded,
            boxes=self.boxes,
            points=self.points,
            point_labels=self.point_labels,
        )

    def text_options(self, usual: TextOptions) -> TextOptions:
        """Return the text options of the call.

        Raises:
            OptionError: An option is unknown or out of range.
        """
        return replace(usual, **_without_none(selector=self.selector, threshold=self.threshold))

    def thresholds(self, usual: Thresholds, class_names: tuple[str, ...]) -> Thresholds:
        """Return the thresholds of the call.

        Raises:
            OptionError: A threshold is out of range, or the model has no such class.
        """
        classes = None if self.classes is None else class_ids(self.classes, class_names)
        changes = _without_none(conf=self.conf, iou=self.iou, max_segments=self.max_segments, classes=classes)
        return replace(usual, **changes) if changes else usual

    def most(self, usual: int | None) -> int | None:
        """Return how many segments the call selects at most; None: all.

        Raises:
            OptionError: `max_selected` is not a whole number of 1 or more.
        """
        return usual if self.max_selected is None else check_max_selected(self.max_selected)


def check_max_selected(max_selected: int | None) -> int | None:
    """Check `max_selected`.

    Raises:
        OptionError: It is neither None nor a whole number of 1 or more.
    """
    if max_selected is not None and (not isinstance(max_selected, Integral) or max_selected < 1):
        raise OptionError("max_selected", "a whole number of 1 or more", max_selected)
    return max_selected


def _without_none(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
