"""CallOptions: what one call asks for instead of what its pipeline does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

from numpy.typing import ArrayLike

from fastsam_trt.errors import OptionError
from fastsam_trt.prompts.prompt_set import Question, TextRules
from fastsam_trt.prompts.regions import check_boxes, check_point_labels, check_points
from fastsam_trt.prompts.texts import SelectorName, check_prompts, class_ids
from fastsam_trt.segmentation.families import Thresholds

Classes = Iterable[int | str] | int | str


@dataclass(frozen=True, slots=True, eq=False)
class CallOptions:
    """What one call asks for; None: what its pipeline does. See `Pipeline` for each.

    Attributes:
        prompts, excluded, boxes, points, point_labels: What is selected; nothing (`[]`): none.
        selector, threshold: How texts are answered.
        conf, iou, max_segments, classes: What counts as a segment.
        max_selected: Most selected segments.
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

    @property
    def keep_the_question(self) -> bool:
        """Whether what answers the pipeline's own question answers this call's, too."""
        asked = (self.prompts, self.excluded, self.boxes, self.points, self.point_labels, self.selector)
        return all(each is None for each in (*asked, self.threshold, self.classes))

    def question(self, own: Question) -> Question:
        """The call's question, which is the pipeline's own where it does not differ.

        Raises:
            PromptError: A prompt, box, point or label can't be one.
        """
        changes: dict[str, Any] = {}
        if self.prompts is not None:
            changes["prompts"] = check_prompts(self.prompts)
        if self.excluded is not None:
            changes["excluded"] = check_prompts(self.excluded)
        if self.boxes is not None:
            changes["boxes"] = check_boxes(self.boxes)
        if self.points is not None or self.point_labels is not None:
            points = own.points if self.points is None else check_points(self.points)
            changes["points"] = points
            changes["point_labels"] = check_point_labels(self.point_labels, len(points))
            changes["labelled"] = self.point_labels is not None
        return replace(own, **changes)

    def rules(self, own: TextRules) -> TextRules:
        """The call's rules.

        Raises:
            OptionError: One is unknown or out of range.
        """
        return replace(own, **_given(selector=self.selector, threshold=self.threshold))

    def thresholds(self, own: Thresholds, class_names: tuple[str, ...]) -> Thresholds:
        """The call's thresholds.

        Raises:
            OptionError: One is out of range, or a class is none of the model.
        """
        classes = None if self.classes is None else class_ids(self.classes, class_names)
        given = _given(conf=self.conf, iou=self.iou, max_segments=self.max_segments, classes=classes)
        return replace(own, **given) if given else own

    def most(self, own: int | None) -> int | None:
        """The most segments that the call selects; None: all.

        Raises:
            OptionError: It is no number of segments.
        """
        return own if self.max_selected is None else check_most(self.max_selected)


def check_most(most: int | None) -> int | None:
    """Refuse what is no number of segments.

    Raises:
        OptionError: It is none.
    """
    if most is not None and (not isinstance(most, Integral) or most < 1):
        raise OptionError("max_selected", "a whole number of 1 or more", most)
    return most


def _given(**options: Any) -> dict[str, Any]:
    """The options that are not None."""
    return {name: value for name, value in options.items() if value is not None}
