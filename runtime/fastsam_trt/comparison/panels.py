"""Draw the three panels of a model: all segments, their ranking, and the selection."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.comparison.outcome import ModelOutcome, RankedSegment
from fastsam_trt.drawing import labels
from fastsam_trt.drawing.overlay import largest_first, tint
from fastsam_trt.drawing.palette import Colour, palette
from fastsam_trt.drawing.resize import resize_image, resize_mask_crops
from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.results.captions import drawn_name
from fastsam_trt.results.plot import plot

_LONGEST_PX = 800
_MOST_UPSCALE = 4
_BADGE_PX = 13
_HEAT = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_VIRIDIS).reshape(256, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """An image with a title.

    Attributes:
        title: A few words.
        image: (h, w, 3) uint8 BGR.
        notes: The meaning of its numbers.
        heat: Whether it uses the colours of `heat`.
    """

    title: str
    image: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    heat: bool = False


def panels(outcome: ModelOutcome, top: int) -> tuple[Panel, Panel, Panel]:
    """Draw the panels of a model: all segments, the ranking, the selection.

    Args:
        outcome: Outcome of the model. This decodes the masks of all its segments.
        top: How many of the best-ranked segments to number.
    """
    result = outcome.result
    count = len(result.segments)
    frame_size = (result.frame.shape[0], result.frame.shape[1])
    size = panel_size(*frame_size)
    frame = resize_image(result.frame, size)
    crops = resize_mask_crops(result.segments.masks.decode(range(count)), frame_size, size)
    order = largest_first(crops)
    return (
        Panel(f"all segments ({count})", tint(frame, [crops[i] for i in order], palette(order))),
        Panel(
            ranking_title(outcome),
            _draw_ranking(frame, crops, outcome, top),
            tuple(_note(segment, result.prompts) for segment in outcome.ranked(top)),
            heat=True,
        ),
        Panel(f"selected ({len(result)})", plot(result, size=size)),
    )


def panel_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of a panel, px: the longer side is 800, but at most four times that of the frame."""
    scale = min(_LONGEST_PX / max(height, width), _MOST_UPSCALE)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def heat(value: float) -> Colour:
    """The BGR colour of a number from 0 to 1, in viridis, which is uniform and safe for colour-blind readers."""
    blue, green, red = _HEAT[round(255 * min(max(value, 0.0), 1.0))].tolist()
    return blue, green, red


def ranking_title(outcome: ModelOutcome) -> str:
    """Name what a ranking is sorted by."""
    if not outcome.by_label:
        return "similarity (CLIP)"
    if not outcome.by_clip:
        return "score of segments of the class (labels, no CLIP)"
    return f"{', '.join(outcome.by_label)}: score (labels); others: similarity (CLIP)"


def _draw_ranking(
    frame: NDArray[np.uint8], crops: list[MaskCrop], outcome: ModelOutcome, top: int
) -> NDArray[np.uint8]:
    """Draw the ranked segments in the colours of their similarities over a dark grey frame, the best on top."""
    grey = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    dark = np.asarray(cv2.convertScaleAbs(grey, alpha=0.45), np.uint8)
    ranked = list(outcome.ranked())[::-1]
    colours = [heat(segment.score if segment.similarity is None else segment.similarity) for segment in ranked]
    image = tint(dark, [crops[segment.index] for segment in ranked], colours, alpha=0.65)
    free = np.ones(image.shape[:2], np.uint8)
    for segment in outcome.ranked(top):
        point = _inner_point(crops[segment.index], free)
        if point is not None:
            labels.badge(image, str(segment.rank), *point, _BADGE_PX)
            cv2.circle(free, point, 2 * _BADGE_PX, 0, cv2.FILLED)
    return image


def _inner_point(crop: MaskCrop, free: NDArray[np.uint8]) -> tuple[int, int] | None:
    """The point (x, y), px, farthest inside a mask, outside earlier badges if possible; None: the mask is empty.

    Args:
        crop: The mask.
        free: (H, W) uint8 of the frame, 0 where a badge was drawn.
    """
    if not crop.pixels.any():
        return None
    height, width = crop.pixels.shape
    inside = np.pad(crop.pixels.astype(np.uint8), 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
    free_depth = depth * free[crop.top : crop.top + height, crop.left : crop.left + width]
    y, x = np.unravel_index(int((free_depth if free_depth.any() else depth).argmax()), depth.shape)
    return crop.left + int(x), crop.top + int(y)


def _note(ranked: RankedSegment, prompts: tuple[str, ...]) -> str:
    name = drawn_name(ranked.prompt, f"prompt {prompts.index(ranked.prompt)}")
    return f"{ranked.rank} {name} {_value_text(ranked.similarity, ranked.score)}"


def _value_text(similarity: float | None, score: float) -> str:
    return f"score {score:.2f}" if similarity is None else f"{similarity:.2f}"
