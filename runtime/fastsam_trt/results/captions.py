"""Captions of segments, and what of a result is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing import lettering
from fastsam_trt.drawing.style import DrawStyle
from fastsam_trt.masks.mask_source import MaskCrop


class Drawable(Protocol):
    """What of a result is drawn; see `Result`."""

    @property
    def frame(self) -> NDArray[np.uint8]: ...
    @property
    def prompts(self) -> tuple[str, ...]: ...
    @property
    def boxes(self) -> NDArray[np.float32]: ...
    @property
    def scores(self) -> NDArray[np.float32]: ...
    @property
    def similarities(self) -> NDArray[np.float32]: ...
    @property
    def class_ids(self) -> NDArray[np.int32]: ...
    @property
    def prompt_ids(self) -> NDArray[np.int32]: ...
    @property
    def track_ids(self) -> NDArray[np.int32]: ...
    @property
    def labels(self) -> list[str | None]: ...
    @property
    def display_names(self) -> list[str | None]: ...
    def mask_crops(self) -> Sequence[MaskCrop]: ...


def captions(result: Drawable, *, drawn: bool = False) -> list[str]:
    """Captions of the selected segments: prompt or class, similarity or score, and track id.

    Args:
        result: A frame's result.
        drawn: Whether the captions will be drawn. Names that no font can draw then become numbers.
    """
    everything = DrawStyle(draw=("labels", "scores"))
    return [" ".join(words) for words in words_of(result, everything, drawn=drawn)]


def drawn_name(name: str, number: str) -> str:
    """The name if it can be drawn; the number if no installed font has its letters."""
    return name if lettering.can_draw(name) else number


def words_of(result: Drawable, style: DrawStyle, *, drawn: bool = True) -> list[tuple[str, ...]]:
    """The words of each label: name, similarity or score, track; in the default style none where there is no name."""
    labels = []
    for known, class_id, prompt_id, score, similarity, track_id in zip(
        result.display_names,
        result.class_ids.tolist(),
        result.prompt_ids.tolist(),
        result.scores,
        result.similarities,
        result.track_ids.tolist(),
        strict=True,
    ):
        name, track = known or "", f"#{track_id}" if track_id >= 0 else ""
        if drawn and name:
            name = drawn_name(name, f"prompt {prompt_id}" if prompt_id >= 0 else f"class {class_id}")
        confidence = f"{score if np.isnan(similarity) else similarity:.2f}"
        if style.draw is None and not name and not track:
            confidence = ""
        if not style.shows("labels"):
            name = track = ""
        words = (name, confidence if style.shows("scores") else "", track)
        labels.append(tuple(filter(None, words)))
    return labels
