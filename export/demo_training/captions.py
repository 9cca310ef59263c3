"""Captions: what can be said of a crop, and of which crops it is true."""

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
    """A text, and the colour and shape that it asks for; None asks for nothing.

    `true_of` tells whom it is true of: items, background only, or nobody.
    """

    text: str
    colour: str | None
    shape: str | None
    true_of: str


def draw_caption(generator: np.random.Generator, pairs: Sequence[tuple[str, str]]) -> Caption:
    """A caption at random: mostly of colour and shape, some of one, some that are true of no item."""
    colour, shape = pairs[int(generator.integers(len(pairs)))]
    kind = generator.choice(["both", "colour", "shape", "neither", "other"], p=[0.58, 0.14, 0.14, 0.06, 0.08])
    texts = {"both": _BOTH, "colour": _COLOUR, "shape": _SHAPE, "neither": _NEITHER, "other": _OTHER}[str(kind)]
    text = str(generator.choice(texts)).format(c=colour, s=shape)
    if kind == "other" and generator.random() < 0.5:
        letters = generator.choice(list("abcdefghijklmnopqrstuvwxyz"), int(generator.integers(3, 10)))
        text = "".join(letters)
    text = str(generator.choice(_TEMPLATES)).replace("{}", text)
    if kind in ("neither", "other"):
        return Caption(text, None, None, "background" if kind == "neither" else "nobody")
    return Caption(text, colour if kind != "shape" else None, shape if kind != "colour" else None, "items")


def truth(
    captions: Sequence[Caption], colours: Sequence[str | None], shapes: Sequence[str | None]
) -> NDArray[np.float32]:
    """Of which crops each caption is true.

    Args:
        captions: m captions.
        colours, shapes: Of n crops; None for background.

    Returns:
        (n, m) float32 of 0 and 1.
    """
    found = np.zeros((len(colours), len(captions)), np.float32)
    for j, caption in enumerate(captions):
        for i, (colour, shape) in enumerate(zip(colours, shapes, strict=True)):
            if colour is None:
                found[i, j] = caption.true_of == "background"
            elif caption.true_of == "items":
                found[i, j] = caption.colour in (None, colour) and caption.shape in (None, shape)
    return found


def every_text() -> list[str]:
    """All texts once, for the tokenizer."""
    both = [text.format(c=c, s=s) for text in (*_BOTH, *_COLOUR, *_SHAPE) for c in COLOURS for s in SHAPES]
    return [template.replace("{}", text) for template in set(_TEMPLATES) for text in (*both, *_NEITHER, *_OTHER)]
