"""Prompts: checked texts, and which of them name a class of the model."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from fastsam_trt.errors import PromptError


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
