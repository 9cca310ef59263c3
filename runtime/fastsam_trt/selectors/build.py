"""Build the selectors of a set of prompts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fastsam_trt.clip.embedder import Embedder
from fastsam_trt.clip.model import Clip
from fastsam_trt.prompts.prompt_set import Question, TextRules
from fastsam_trt.prompts.texts import Routes, check_apart, check_kept, route
from fastsam_trt.selectors.boxes import BoxSelector
from fastsam_trt.selectors.combined import CombinedSelector
from fastsam_trt.selectors.points import PointSelector
from fastsam_trt.selectors.selection import Selector
from fastsam_trt.selectors.text import TextSelector

ClipFor: TypeAlias = Callable[[str], tuple[Clip, Embedder]]
"""Returns the CLIP model that a prompt needs, opened on first use, and the embedder that uses it."""


def build_selectors(
    question: Question,
    rules: TextRules,
    class_names: tuple[str, ...],
    clip_for: ClipFor,
    kept_classes: tuple[int, ...] | None = None,
) -> tuple[TextSelector | None, CombinedSelector]:
    """Build the selectors that answer a question.

    Args:
        question: The prompts, checked.
        rules: How its texts are answered.
        class_names: The segmentation model's classes, by id.
        clip_for: Called if a text needs CLIP.
        kept_classes: Ids of the classes whose segments come; None: all.

    Returns:
        The selector of its texts, None where there are none, and that of all.

    Raises:
        PromptError: Its texts contradict one another, or can't be answered by the rules.
    """
    asked, barred = (route(texts, class_names, rules.selector) for texts in (question.prompts, question.excluded))
    check_apart(asked, barred, class_names)
    check_kept(asked, kept_classes, question.prompts)
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
    known = tuple(question.prompts[prompt_id] for prompt_id in asked.labels.values())
    selector = by_text(asked, against) if question.prompts else None
    foreground, background = (question.points[question.point_labels == label] for label in (1, 0))
    wanted: list[Selector] = [] if selector is None else [selector]
    if len(question.boxes):
        wanted.append(BoxSelector(question.boxes))
    if len(foreground):
        wanted.append(PointSelector(foreground))
    return selector, CombinedSelector(
        wanted,
        excluded_classes=tuple(barred.labels),
        unlike=by_text(Routes({}, barred.texts), known) if against else None,
        unwanted=PointSelector(background) if len(background) else None,
    )
