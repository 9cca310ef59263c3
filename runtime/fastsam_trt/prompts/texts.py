"""Text prompts: checks, and which of them name a class of the model."""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from fastsam_trt.errors import OptionError, PromptError
from fastsam_trt.prompts.vocabulary import did_you_mean, fold, vocabulary

SelectorName: TypeAlias = Literal["auto", "labels", "clip"]

_WHOLE_NUMBER = re.compile(r"[-+]?\d+")
_INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}  # Unicode categories of invisible characters


@dataclass(frozen=True, slots=True)
class Routes:
    """Which text prompts are matched by class label, and which by CLIP.

    Attributes:
        by_class: Class id to prompt id. If several prompts name a class, the first one counts; one prompt may name
            several classes.
        by_clip: Prompt id to text.
    """

    by_class: dict[int, int] = field(default_factory=dict)
    by_clip: dict[int, str] = field(default_factory=dict)


def route(prompts: Sequence[str], class_names: Sequence[str], selector: SelectorName) -> Routes:
    """Decide per prompt whether class labels or CLIP match it; `auto` uses labels for prompts that name a class.

    Raises:
        PromptError: The selector is `labels` and a prompt names no class, or a prompt for CLIP has no letter, digit or
            symbol.
    """
    known = vocabulary(tuple(class_names))
    by_class: dict[int, int] = {}
    by_clip: dict[int, str] = {}
    for prompt_id, prompt in enumerate(prompts):
        class_ids = () if selector == "clip" else known.ids(prompt)
        if not class_ids and selector == "labels":
            near = did_you_mean(known.near(prompt))
            hint = f"{near} If not," if near else f"the model has {len(class_names)} classes;"
            raise PromptError(
                f"selector labels: expected the name of a class of the model, found {prompt!r}; "
                f"{hint} use --selector clip"
            )
        if not class_ids:
            if all(category[0] == "P" or category in _INVISIBLE for category in map(unicodedata.category, prompt)):
                raise PromptError(f"expected a prompt with a letter, digit or symbol, found {prompt!r}")
            by_clip[prompt_id] = prompt
        for class_id in class_ids:
            by_class.setdefault(class_id, prompt_id)
    return Routes(by_class, by_clip)


def check_exclusions(prompted: Routes, excluded: Routes, class_names: Sequence[str]) -> None:
    """Refuse prompts that are excluded too.

    Raises:
        PromptError: All classes that a prompt names are excluded, or a prompt and an exclusion are the same text.
    """
    remaining = {prompt_id for class_id, prompt_id in prompted.by_class.items() if class_id not in excluded.by_class}
    both = [class_names[class_id] for class_id, prompt_id in prompted.by_class.items() if prompt_id not in remaining]
    texts = {fold(text) for text in prompted.by_clip.values()}
    both += [text for text in excluded.by_clip.values() if fold(text) in texts]
    if both:
        raise PromptError(f"expected {both[0]!r} either as a prompt or as an exclusion, found both; remove one of them")


def check_classes(prompted: Routes, classes: Sequence[int] | None, prompts: Sequence[str]) -> None:
    """Refuse prompts that name only classes which the segmenter filters out: they would never match.

    Args:
        prompted: How the prompts are matched.
        classes: Ids of the classes that the segmenter returns; None: all.
        prompts: The prompts.

    Raises:
        PromptError: There is such a prompt.
    """
    if classes is None:
        return
    possible = {prompt_id for class_id, prompt_id in prompted.by_class.items() if class_id in classes}
    for prompt_id in prompted.by_class.values():
        if prompt_id not in possible:
            raise PromptError(
                f"expected prompts for the selected classes, found {prompts[prompt_id]!r}; add its class to classes, "
                "or remove the prompt"
            )


def check_prompts(prompts: Iterable[str]) -> tuple[str, ...]:
    """Strip whitespace from prompts and check them.

    Raises:
        PromptError: A prompt is blank, is not text, or has bytes that are not UTF-8.
    """
    if isinstance(prompts, str):
        prompts = (prompts,)
    checked = []
    for prompt in prompts:
        if not isinstance(prompt, str):
            raise PromptError(f"expected a prompt as text, found {prompt!r}")
        if all(unicodedata.category(char) in _INVISIBLE for char in prompt):
            raise PromptError(f"expected a prompt with text, found {prompt!r}; to select everything, give no prompt")
        if any(unicodedata.category(char) == "Cs" for char in prompt):
            raise PromptError(f"expected a prompt in UTF-8, found {prompt!r}")
        checked.append(" ".join(prompt.split()))
    return tuple(checked)


def class_ids(classes: Iterable[int | str] | int | str, class_names: Sequence[str]) -> tuple[int, ...]:
    """Return the ids of classes that are given by id or by name.

    Args:
        classes: Ids, or names as in prompts, with plurals and synonyms. A text of digits is an id. A text that names no
            class may list several, separated by commas.
        class_names: The model's class names, by id.

    Raises:
        OptionError: The model has no class of that id or name.
    """
    wanted = (classes,) if isinstance(classes, int | str) else classes
    return tuple(dict.fromkeys(class_id for item in wanted for class_id in _class_ids(item, class_names)))


def _class_ids(item: int | str, class_names: Sequence[str]) -> tuple[int, ...]:
    ids = f"ids from 0 to {len(class_names) - 1}"
    if isinstance(item, str) and not _WHOLE_NUMBER.fullmatch(item.strip()):
        known = vocabulary(tuple(class_names))
        parts = item.split(",")
        found = known.ids(item.strip())
        if not found and len(parts) > 1:
            found = tuple(class_id for part in parts for class_id in _class_ids(part, class_names))
        if not found:
            hint = did_you_mean(known.near(item)) or "list them with: fastsam-trt info MODEL"
            raise OptionError("classes", f"class names or {ids}", item, hint)
        return found
    try:
        number = int(item) if isinstance(item, str) else operator.index(item)
    except TypeError:
        raise OptionError("classes", f"{ids}, or class names", item) from None
    if not 0 <= number < len(class_names):
        raise OptionError("classes", ids, number)
    return (number,)
