"""Question: everything that a pipeline is asked for at one time, and the rules by which texts are answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.clip import Clip
from fastsam_trt.errors import OptionError
from fastsam_trt.places import check_boxes, check_point_labels, check_points
from fastsam_trt.prompts import Routes, SelectorName, check_apart, check_kept, route
from fastsam_trt.selectors import BoxSelector, CombinedSelector, Embedder, PointSelector, Selector, TextSelector

DEFAULT_TEMPLATES = ("a photo of a {}.", "a photo of the {}.", "{}")
DEFAULT_NEGATIVES = ("background", "an object", "something else", "a texture")
DEFAULT_THRESHOLD = 0.5

CropName: TypeAlias = Literal["box", "masked"]
ClipFor: TypeAlias = Callable[[str], tuple[Clip, Embedder]]
"""Gives the CLIP model that a prompt needs, opened now if it was not, and what embeds segments by it."""


@dataclass(frozen=True, slots=True)
class TextRules:
    """How texts are answered; see `Pipeline`.

    Attributes:
        selector: Labels, CLIP, or for each prompt what fits it.
        negatives: Texts that a segment may be instead.
        templates: Texts with `{}` where a prompt goes.
        threshold: Least similarity of a selected segment, 0..1.
        crop: What CLIP sees of a segment.

    Raises:
        OptionError: One of them is unknown or out of range.
    """

    selector: SelectorName
    negatives: tuple[str, ...]
    templates: tuple[str, ...]
    threshold: float
    crop: CropName

    def __post_init__(self) -> None:
        if self.selector not in ("auto", "labels", "clip"):
            raise OptionError("selector", "auto, labels or clip", self.selector)
        if not isinstance(self.threshold, Real) or not 0 <= self.threshold <= 1:
            raise OptionError("threshold", "a number from 0 to 1", self.threshold)
        if self.crop not in ("box", "masked"):
            raise OptionError("crop", "box or masked", self.crop)
        if not self.templates or not all("{}" in template for template in self.templates):
            raise OptionError("templates", "texts that hold {}", self.templates)


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Prompts, checked.

    Attributes:
        prompts, excluded: Texts that name what to select, and what not.
        boxes: (b, 4) float64 xyxy, px of the frame.
        points: (p, 2) float64 xy, px of the frame.
        point_labels: (p,) int32, 1 foreground, 0 background.
        labelled: Whether the labels were given.
    """

    prompts: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    boxes: NDArray[np.float64] = field(default_factory=lambda: check_boxes(None))
    points: NDArray[np.float64] = field(default_factory=lambda: check_points(None))
    point_labels: NDArray[np.int32] = field(default_factory=lambda: check_point_labels(None, 0))
    labelled: bool = False

    def selectors(
        self,
        rules: TextRules,
        class_names: tuple[str, ...],
        clip_for: ClipFor,
        kept_classes: tuple[int, ...] | None = None,
    ) -> tuple[TextSelector | None, CombinedSelector]:
        """Make what answers it.

        Args:
            rules: How its texts are answered.
            class_names: The segmentation model's classes, by id.
            clip_for: Called if a text needs CLIP.
            kept_classes: Ids of the classes whose segments come; None: all.

        Returns:
            The selector of its texts, None where there are none, and that of all.

        Raises:
            PromptError: Its texts contradict one another, or can't be answered by the rules.
        """
        asked, barred = (route(texts, class_names, rules.selector) for texts in (self.prompts, self.excluded))
        check_apart(asked, barred, class_names)
        check_kept(asked, kept_classes, self.prompts)
        against = tuple(barred.texts.values())
        texts = (*asked.texts.values(), *against)
        clip, embedder = clip_for(texts[0]) if texts else (None, None)

        def by_text(routes: Routes, negatives: tuple[str, ...]) -> TextSelector:
            return TextSelector(
                routes.labels,
                routes.texts,
                clip,
                negatives=tuple(dict.fromkeys((*rules.negatives, *negatives))),
                templates=rules.templates,
                threshold=rules.threshold,
                embedder=embedder,
            )

        # What a class label says of a segment argues for it where CLIP is asked whether the segment is excluded.
        known = tuple(self.prompts[prompt_id] for prompt_id in asked.labels.values())
        selector = by_text(asked, against) if self.prompts else None
        foreground, background = (self.points[self.point_labels == label] for label in (1, 0))
        wanted: list[Selector] = [] if selector is None else [selector]
        if len(self.boxes):
            wanted.append(BoxSelector(self.boxes))
        if len(foreground):
            wanted.append(PointSelector(foreground))
        return selector, CombinedSelector(
            wanted,
            excluded_classes=tuple(barred.labels),
            unlike=by_text(Routes({}, barred.texts), known) if against else None,
            unwanted=PointSelector(background) if len(background) else None,
        )
