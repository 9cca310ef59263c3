"""Prompts: checked texts, and which of them name a class of the model."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fastsam_trt.errors import PromptError

SelectorName: TypeAlias = Literal["auto", "labels", "clip"]


@dataclass(frozen=True, slots=True)
class Routes:
    """Which prompts are answered by class labels, and which by CLIP.

    Attributes:
        labels: Class id to prompt id, of the first prompt that names the class.
        texts: Prompt id to text, of the prompts that go to CLIP.
    """

    labels: dict[int, int]
    texts: dict[int, str]


def route(prompts: Sequence[str], class_names: Sequence[str], selector: SelectorName) -> Routes:
    """Send each prompt to the labels or to CLIP: `auto` sends those to the labels that name a class.

    Raises:
        PromptError: The selector is `labels`, and a prompt names no class.
    """
    labels: dict[int, int] = {}
    texts: dict[int, str] = {}
    for prompt_id, prompt in enumerate(prompts):
        if selector == "labels":
            class_id: int | None = require_class(prompt, class_names)
        else:
            class_id = class_of(prompt, class_names) if selector == "auto" else None
        if class_id is None:
            texts[prompt_id] = prompt
        else:
            labels.setdefault(class_id, prompt_id)
    return Routes(labels, texts)


def check_apart(asked: Routes, excluded: Routes, class_names: Sequence[str]) -> None:
    """Refuse to ask for what is excluded too.

    Raises:
        PromptError: A prompt and an exclusion name the same class, or are the same text.
    """
    texts = {text.casefold() for text in asked.texts.values()}
    both = [class_names[class_id] for class_id in asked.labels if class_id in excluded.labels]
    both += [text for text in excluded.texts.values() if text.casefold() in texts]
    if both:
        raise PromptError(f"expected {both[0]!r} to be asked for or excluded, found both; drop one of them")


def check_prompts(prompts: Iterable[str]) -> tuple[str, ...]:
    """Strip prompts and refuse what can't be one.

    Raises:
        PromptError: A prompt is blank, or no text.
    """
    if isinstance(prompts, str):
        prompts = (prompts,)
    checked = []
    for prompt in prompts:
        if not isinstance(prompt, str):
            raise PromptError(f"expected a prompt as text, found {prompt!r}")
        if not prompt.strip():
            raise PromptError(f"expected a prompt with text, found {prompt!r}; give no prompt to select everything")
        checked.append(" ".join(prompt.split()))
    return tuple(checked)


def class_of(prompt: str, class_names: Sequence[str]) -> int | None:
    """The id of the class that a prompt names, or names in the plain plural; None if none. Case does not matter."""
    wanted = prompt.casefold()
    for class_id, name in enumerate(class_names):
        if wanted in _forms(name.casefold()):
            return class_id
    return None


def require_class(prompt: str, class_names: Sequence[str]) -> int:
    """The id of the class that a prompt names.

    Raises:
        PromptError: It names none; near names are in the message.
    """
    found = class_of(prompt, class_names)
    if found is None:
        near = difflib.get_close_matches(prompt.casefold(), class_names, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else f"the model has {len(class_names)} classes"
        raise PromptError(
            f"expected a class of the model with the labels selector, found {prompt!r}; {hint}, or use --selector clip"
        )
    return found


def _forms(name: str) -> set[str]:
    plural = {name + "s"}
    if name.endswith(("s", "x", "z", "ch", "sh")):
        plural.add(name + "es")
    if name.endswith("y"):
        plural.add(name[:-1] + "ies")
    return {name} | plural
