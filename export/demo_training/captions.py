"""Captions of crops, and which captions are true of which crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.demo import COLOURS, SHAPES

_BOTH = ("a {c} {s}", "{c} {s}", "the {c} {s}", "the {s} that is {c}", "a {s} that is {c}", "{c} {s}s")
_COLOUR = ("{c}", "something {c}", "a {c} thing", "a {c} shape", "the {c} one", "{c} things")
_SHAPE = ("{s}", "a {s}", "the {s}", "{s}s", "a {s} of any colour")
_NEITHER = ("background", "a texture", "an object", "something else", "nothing")
_OTHER = (
    "car", "dog", "person", "cat", "a bus", "a tree", "house", "elephant", "a bicycle", "chair", "the phone", "a cup",
    "hexagon", "a spiral", "black", "something white", "a brown bear", "grey", "teapot", "a bird", "the moon", "apple",
)  # fmt: skip
_TEMPLATES = ("{}", "{}", "a photo of a {}.", "a photo of the {}.")


@dataclass(frozen=True, slots=True)
class Caption:
    """A text, and the colour and shape that it names; None: it names none.

    `true_of` says what it can be true of: `items`, `background` or `nothing`.
    """

    text: str
    colour: str | None
    shape: str | None
    true_of: str


def draw_captions(generator: np.random.Generator, pairs: Sequence[tuple[str, str]], idle: int = 24) -> list[Caption]:
    """Draw one caption per pair, then per colour, per shape, and some that are true of no item, in random wordings.

    Args:
        generator: Source of randomness.
        pairs: Colours and shapes that are named together.
        idle: Number of captions that are true of no item.
    """

    def word(texts: Sequence[str], **names: str) -> str:
        return str(generator.choice(_TEMPLATES)).replace("{}", str(generator.choice(texts)).format(**names))

    made = [Caption(word(_BOTH, c=colour, s=shape), colour, shape, "items") for colour, shape in pairs]
    made += [Caption(word(_COLOUR, c=colour), colour, None, "items") for colour in COLOURS]
    made += [Caption(word(_SHAPE, s=shape), None, shape, "items") for shape in SHAPES]
    for i in range(idle):
        if i % 3 == 0:
            made.append(Caption(word(_NEITHER), None, None, "background"))
        elif i % 3 == 1:
            made.append(Caption(word(_OTHER), None, None, "nothing"))
        else:
            letters = "".join(generator.choice(list("abcdefghijklmnopqrstuvwxyz"), int(generator.integers(3, 10))))
            made.append(Caption(word([letters]), None, None, "nothing"))
    return made


def truth(
    captions: Sequence[Caption], colours: Sequence[str | None], shapes: Sequence[str | None]
) -> NDArray[np.float32]:
    """Which captions are true of which crops.

    Args:
        captions: m captions.
        colours, shapes: Of n crops; None for background.

    Returns:
        (n, m) float32 of 0 and 1.
    """
    items, names = np.array(colours, object)[:, None] != None, (colours, shapes)  # noqa: E711 - compares an array
    of = np.array([caption.true_of for caption in captions], object)
    found = np.where(items, of == "items", of == "background")
    for has, asks in zip(names, ([c.colour for c in captions], [c.shape for c in captions]), strict=True):
        named = np.array(asks, object)
        found &= (named == None) | (np.array(has, object)[:, None] == named)  # noqa: E711
    return found.astype(np.float32)


def every_text() -> list[str]:
    """All texts once, for the tokenizer."""
    both = [text.format(c=c, s=s) for text in (*_BOTH, *_COLOUR, *_SHAPE) for c in COLOURS for s in SHAPES]
    return [template.replace("{}", text) for template in set(_TEMPLATES) for text in (*both, *_NEITHER, *_OTHER)]
