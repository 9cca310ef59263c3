"""The three panels of a model: all its segments, how they answer the prompts, and the selection."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.comparison.outcome import ModelOutcome, RankedSegment
from fastsam_trt.drawing import labels
from fastsam_trt.drawing.labels import Colour
from fastsam_trt.drawing.overlay import draw, drawn_name, palette, tint
from fastsam_trt.drawing.resize import resize_image, resize_mask_crops
from fastsam_trt.masks.mask_source import MaskCrop

_LONGEST_PX = 800
_MOST_UPSCALE = 4
_BADGE_PX = 13
_TEXT_SCALE = 0.6
_HEAT = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_VIRIDIS).reshape(256, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """A picture and what it shows.

    Attributes:
        title: In a few words.
        picture: (h, w, 3) uint8 BGR.
        notes: What its numbers stand for.
        heat: Whether its colours stand for numbers from 0 to 1, as in `heat`.
    """

    title: str
    picture: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    heat: bool = False


def panels(outcome: ModelOutcome, top: int) -> tuple[Panel, Panel, Panel]:
    """Draw what a model made of the picture: all segments, the ranking, the selection.

    Args:
        outcome: The model's. For this the masks of all its segments are decoded.
        top: How many of the best-ranked segments get a number.
    """
    result = outcome.result
    count = len(result.segments)
    frame_size = (result.frame.shape[0], result.frame.shape[1])
    size = panel_size(*frame_size)
    frame = resize_image(result.frame, size)
    crops = resize_mask_crops(result.segments.masks.decode(range(count)), frame_size, size)
    return (
        Panel(f"all segments ({count})", tint(frame, crops, palette(range(count)))),
        Panel(
            ranking_title(outcome),
            _draw_ranking(frame, crops, outcome, top),
            tuple(_note(each, result.prompts) for each in outcome.ranked(top)),
            heat=True,
        ),
        Panel(f"selected ({len(result)})", draw(result, size, _TEXT_SCALE)),
    )


def panel_size(height: int, width: int) -> tuple[int, int]:
    """Height and width, px, at which a frame is shown: its longer side 800, but enlarged no more than four times."""
    scale = min(_LONGEST_PX / max(height, width), _MOST_UPSCALE)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def heat(value: float) -> Colour:
    """The BGR colour of a number from 0 to 1 (viridis: even steps, also for colour-blind readers)."""
    blue, green, red = _HEAT[round(255 * min(max(value, 0.0), 1.0))].tolist()
    return blue, green, red


def ranking_title(outcome: ModelOutcome) -> str:
    """What a model's ranking goes by."""
    if not outcome.by_label:
        return "similarity (CLIP)"
    if not outcome.by_clip:
        return "score of segments of the class (labels, no CLIP)"
    return f"{', '.join(outcome.by_label)}: score (labels); others: similarity (CLIP)"


def _draw_ranking(
    frame: NDArray[np.uint8], crops: list[MaskCrop], outcome: ModelOutcome, top: int
) -> NDArray[np.uint8]:
    """The ranked segments in the colour of their similarity, the best on top, over a dark grey frame."""
    grey = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    dark = np.asarray(cv2.convertScaleAbs(grey, alpha=0.45), np.uint8)
    ranked = list(outcome.ranked())[::-1]
    colours = [heat(each.score if each.similarity is None else each.similarity) for each in ranked]
    picture = tint(dark, [crops[each.index] for each in ranked], colours, alpha=0.65)
    free = np.ones(picture.shape[:2], np.uint8)
    for each in outcome.ranked(top):
        place = _inner_point(crops[each.index], free)
        if place is not None:
            labels.badge(picture, str(each.rank), *place, _BADGE_PX)
            cv2.circle(free, place, 2 * _BADGE_PX, 0, cv2.FILLED)
    return picture


def _inner_point(crop: MaskCrop, free: NDArray[np.uint8]) -> tuple[int, int] | None:
    """The point (x, y), px, deepest inside a mask, away from places that are taken where that can be; None if empty."""
    if not crop.pixels.any():
        return None
    height, width = crop.pixels.shape
    inside = np.pad(crop.pixels.astype(np.uint8), 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
    open_depth = depth * free[crop.top : crop.top + height, crop.left : crop.left + width]
    y, x = np.unravel_index(int((open_depth if open_depth.any() else depth).argmax()), depth.shape)
    return crop.left + int(x), crop.top + int(y)


def _note(ranked: RankedSegment, prompts: tuple[str, ...]) -> str:
    name = drawn_name(ranked.prompt, f"prompt {prompts.index(ranked.prompt)}")
    return f"{ranked.rank} {name} {_sure(ranked.similarity, ranked.score)}"


def _sure(similarity: float | None, score: float) -> str:
    return f"score {score:.2f}" if similarity is None else f"{similarity:.2f}"
