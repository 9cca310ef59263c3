"""Build the selectors for a prompt set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from fastsam_trt.clip.embedder import Embedder
from fastsam_trt.clip.model import Clip
from fastsam_trt.prompts.prompt_set import PromptSet
from fastsam_trt.prompts.text_options import DEFAULT_NEGATIVES, TextOptions
from fastsam_trt.prompts.texts import Routes, check_classes, check_exclusions, route
from fastsam_trt.selectors.boxes import BoxSelector
from fastsam_trt.selectors.combined import CombinedSelector
from fastsam_trt.selectors.points import PointSelector
from fastsam_trt.selectors.selection import Selector
from fastsam_trt.selectors.text import TextSelector

ClipFor: TypeAlias = Callable[[str], tuple[Clip, Embedder]]
"""Returns the CLIP model that a prompt needs, opened on first use, and the embedder that uses it."""


@dataclass(frozen=True, slots=True, eq=False)
class PromptSelectors:
    """The selectors of a prompt set.

    Attributes:
        prompt_set: The prompts.
        selector: Selects by all prompts and exclusions.
        text_selector: Selects by the text prompts alone; None without text prompts.
        selectable: Ids of the classes that can be selected; None: all.
    """

    prompt_set: PromptSet
    selector: CombinedSelector
    text_selector: TextSelector | None
    selectable: tuple[int, ...] | None


def build_selectors(
    prompt_set: PromptSet,
    options: TextOptions,
    class_names: tuple[str, ...],
    clip_for: ClipFor,
    classes: tuple[int, ...] | None = None,
) -> PromptSelectors:
    """Build the selectors for a prompt set.

    Args:
        prompt_set: The prompts.
        options: How text prompts are matched.
        class_names: The segmentation model's class names, by id.
        clip_for: Called if a text needs CLIP.
        classes: Ids of the classes that the segmenter returns; None: all.

    Raises:
        PromptError: Texts contradict each other or `classes`, or can't be matched with these options.
    """
    prompted = route(prompt_set.prompts, class_names, options.selector)
    excluded = route(prompt_set.excluded, class_names, options.selector)
    check_exclusions(prompted, excluded, class_names)
    check_classes(prompted, classes, prompt_set.prompts)
    excluded_texts = tuple(excluded.by_clip.values())
    texts = (*prompted.by_clip.values(), *excluded_texts)
    clip, embedder = clip_for(texts[0]) if texts else (None, None)
    general = options.negatives
    if clip is not None and not clip.default_negatives and general == DEFAULT_NEGATIVES:
        general = ()

    def by_text(routes: Routes, negatives: tuple[str, ...]) -> TextSelector:
        distinct = tuple(dict.fromkeys((*general, *negatives)))
        return TextSelector(routes, replace(options, negatives=distinct), clip, embedder)

    text_selector = by_text(prompted, excluded_texts) if prompt_set.prompts else None
    wanted: list[Selector] = [] if text_selector is None else [text_selector]
    if len(prompt_set.boxes):
        wanted.append(BoxSelector(prompt_set.boxes, prompt_set.outside))
    foreground, background = (prompt_set.points[prompt_set.point_labels == label] for label in (1, 0))
    if len(foreground):
        wanted.append(PointSelector(foreground, prompt_set.outside))
    # A prompt that a class label matched is a negative when CLIP decides whether the segment is excluded.
    labelled = tuple(prompt_set.prompts[prompt_id] for prompt_id in prompted.by_class.values())
    selector = CombinedSelector(
        wanted,
        excluded_classes=tuple(excluded.by_class),
        clip_exclusions=by_text(Routes(by_clip=excluded.by_clip), labelled) if excluded_texts else None,
        exclusions=PointSelector(background, prompt_set.outside) if len(background) else None,
    )
    by_labels_only = wanted == [text_selector] and not prompted.by_clip
    selectable = tuple(sorted(prompted.by_class)) if by_labels_only else None
    return PromptSelectors(prompt_set, selector, text_selector, selectable)
