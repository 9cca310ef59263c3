"""TextOptions: how text prompts are matched with segments."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Literal, TypeAlias

from fastsam_trt.errors import OptionError
from fastsam_trt.prompts.texts import SelectorName

DEFAULT_TEMPLATES = ("a photo of a {}.", "a photo of the {}.", "{}")
DEFAULT_NEGATIVES = ("background", "an object", "something else", "a texture")
DEFAULT_THRESHOLD = 0.5

CropName: TypeAlias = Literal["box", "masked"]


@dataclass(frozen=True, slots=True)
class TextOptions:
    """How text prompts are matched. All options but `selector` concern CLIP only.

    Attributes:
        selector: `labels`: prompts name classes of the model. `clip`: CLIP compares them with segments. `auto`: labels
            for a prompt that is a class name, its plural or a synonym (see `fastsam_trt.prompts.vocabulary`), CLIP for
            the others.
        negatives: Texts that compete with the prompts for a segment. A model that judges a text by itself, such as
            SigLIP, takes those that the caller chose, but not the default ones.
        templates: Texts with `{}`, which the prompt replaces; CLIP averages over them.
        threshold: Lowest similarity of a selected segment, 0..1.
        crop: What CLIP sees of a segment. `box`: everything in its box; `masked`: its mask, with the rest greyed out.

    Raises:
        OptionError: An option is unknown or out of range.
    """

    selector: SelectorName = "auto"
    negatives: tuple[str, ...] = DEFAULT_NEGATIVES
    templates: tuple[str, ...] = DEFAULT_TEMPLATES
    threshold: float = DEFAULT_THRESHOLD
    crop: CropName = "box"

    def __post_init__(self) -> None:
        if self.selector not in ("auto", "labels", "clip"):
            raise OptionError("selector", "auto, labels or clip", self.selector)
        if not isinstance(self.threshold, Real) or not 0 <= self.threshold <= 1:
            raise OptionError("threshold", "a number from 0 to 1", self.threshold)
        if self.crop not in ("box", "masked"):
            raise OptionError("crop", "box or masked", self.crop)
        if not self.templates or not all("{}" in template for template in self.templates):
            raise OptionError("templates", "texts that contain {}", self.templates)
