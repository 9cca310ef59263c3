"""Prompts: checked texts, and which of them name a class of the model."""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fastsam_trt.errors import OptionError, PromptError
from fastsam_trt.prompts.vocabulary import did_you_mean, fold, vocabulary

SelectorName: TypeAlias = Literal["auto", "labels", "clip"]

_WHOLE_NUMBER = re.compile(r"[-+]?\d+")
_INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}  # Unicode's categories of what can't be seen


@dataclass(frozen=True, slots=True)
class Routes:
    """Which prompts are answered by class labels, and which by CLIP.

    Attributes:
        labels: Class id to prompt id, of the first prompt that names the class; a prompt may name several classes.
        texts: Prompt id to text, of the prompts that go to CLIP.
    """

    labels: dict[int, int]
    texts: dict[int, str]


def route(prompts: Sequence[str], class_names: Sequence[str], selector: SelectorName) -> Routes:
    """Send each prompt to the labels or to CLIP: `auto` sends those to the labels that name a class.

    Raises:
        PromptError: The selector is `labels`, and a prompt names no class; or a prompt for CLIP has no letter, digit or
            symbol.
    """
    known = vocabulary(tuple(class_names))
    labels: dict[int, int] = {}
    texts: dict[int, str] = {}
    for prompt_id, prompt in enumerate(prompts):
        class_ids = () if selector == "clip" else known.ids(prompt)
        if not class_ids and selector == "labels":
            near = did_you_mean(known.near(prompt))
            hint = f"{near} If not," if near else f"the model has {len(class_names)} classes;"
            raise PromptError(
                f"expected a class of the model with the labels selector, found {prompt!r}; {hint} use --selector clip"
            )
        if not class_ids:
            if all(category[0] == "P" or category in _INVISIBLE for category in map(unicodedata.category, prompt)):
                raise PromptError(f"expected a prompt with a letter, digit or symbol, found {prompt!r}")
            texts[prompt_id] = prompt
        for class_id in class_ids:
            labels.setdefault(class_id, prompt_id)
    return Routes(labels, texts)


def check_apart(asked: Routes, excluded: Routes, class_names: Sequence[str]) -> None:
    """Refuse to ask for what is excluded too.

    Raises:
        PromptError: All classes that a prompt names are excluded, or a prompt and an exclusion are the same text.
    """
    left = {prompt_id for class_id, prompt_id in asked.labels.items() if class_id not in excluded.labels}
    both = [class_names[class_id] for class_id, prompt_id in asked.labels.items() if prompt_id not in left]
    texts = {fold(text) for text in asked.texts.values()}
    both += [text for text in excluded.texts.values() if fold(text) in texts]
    if both:
        raise PromptError(f"expected {both[0]!r} to be asked for or excluded, found both; drop one of them")


def check_kept(asked: Routes, kept: Sequence[int] | None, prompts: Sequence[str]) -> None:
    """Refuse to ask for classes none of which is kept: nothing could ever be found.

    Args:
        asked: Where the prompts go.
        kept: Ids of the classes to keep; None: all.
        prompts: The prompts.

    Raises:
        PromptError: A prompt names such classes alone.
    """
    if kept is None:
        return
    found = {prompt_id for class_id, prompt_id in asked.labels.items() if class_id in kept}
    for prompt_id in asked.labels.values():
        if prompt_id not in found:
            raise PromptError(
                f"expected a prompt for a class that is kept, found {prompts[prompt_id]!r}; add it to the classes, or "
                "drop one of them"
            )


def check_prompts(prompts: Iterable[str]) -> tuple[str, ...]:
    """Strip prompts and refuse what can't be one.

    Raises:
        PromptError: A prompt is blank, or no text, or has bytes that are not UTF-8.
    """
    if isinstance(prompts, str):
        prompts = (prompts,)
    checked = []
    for prompt in prompts:
        if not isinstance(prompt, str):
            raise PromptError(f"expected a prompt as text, found {prompt!r}")
        if all(unicodedata.category(char) in _INVISIBLE for char in prompt):
            raise PromptError(f"expected a prompt with text, found {prompt!r}; give no prompt to select everything")
        if any(unicodedata.category(char) == "Cs" for char in prompt):
            raise PromptError(f"expected a prompt in UTF-8, found {prompt!r}")
        checked.append(" ".join(prompt.split()))
    return tuple(checked)


def class_ids(classes: Iterable[int | str] | int | str, class_names: Sequence[str]) -> tuple[int, ...]:
    """Ids of the classes to keep.

    Args:
        classes: Ids, and names as prompts may name them, plural and synonyms included. A text of digits is an id; one
            that names no class may be several, with commas between them.
        class_names: The model's classes, by id.

    Raises:
        OptionError: An id or name is none of the model.
    """
    wanted = (classes,) if isinstance(classes, int | str) else classes
    return tuple(dict.fromkeys(class_id for each in wanted for class_id in _class_ids(each, class_names)))


def _class_ids(each: int | str, class_names: Sequence[str]) -> tuple[int, ...]:
    ids = f"ids from 0 to {len(class_names) - 1}"
    if isinstance(each, str) and not _WHOLE_NUMBER.fullmatch(each.strip()):
        known = vocabulary(tuple(class_names))
        parts = each.split(",")
        found = known.ids(each.strip())
        if not found and len(parts) > 1:
            found = tuple(class_id for part in parts for class_id in _class_ids(part, class_names))
        if not found:
            hint = did_you_mean(known.near(each)) or "see them with: fastsam-trt info MODEL"
            raise OptionError("classes", f"names of classes or {ids}", each, hint)
        return found
    try:
        number = int(each) if isinstance(each, str) else operator.index(each)
    except TypeError:
        raise OptionError("classes", f"{ids}, or names", each) from None
    if not 0 <= number < len(class_names):
        raise OptionError("classes", ids, number)
    return (number,)
