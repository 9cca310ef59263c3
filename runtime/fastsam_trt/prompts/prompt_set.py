"""Question: everything that a pipeline is asked for at one time, and the rules by which texts are answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.errors import OptionError
from fastsam_trt.prompts.regions import check_boxes, check_point_labels, check_points
from fastsam_trt.prompts.texts import SelectorName

DEFAULT_TEMPLATES = ("a photo of a {}.", "a photo of the {}.", "{}")
DEFAULT_NEGATIVES = ("background", "an object", "something else", "a texture")
DEFAULT_THRESHOLD = 0.5

CropName: TypeAlias = Literal["box", "masked"]


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
