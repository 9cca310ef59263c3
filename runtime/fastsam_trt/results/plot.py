"""Draw results as overlays."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.import_names import warn_renamed
from fastsam_trt.drawing.overlay import Annotations, draw_overlay
from fastsam_trt.drawing.palette import Colour, palette
from fastsam_trt.drawing.placement import Spot
from fastsam_trt.drawing.style import ColourBy, DrawStyle, frame_scale
from fastsam_trt.errors import OptionError
from fastsam_trt.results.captions import Drawable, words_of

_DEFAULT = DrawStyle()
_OPENCV_TEXT_PX = 30  # of OpenCV's font at scale 1


def plot(result: Drawable, style: DrawStyle = _DEFAULT, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Draw a result; see `Result.plot`.

    Args:
        result: A frame's result; its masks are decoded if they are drawn, and are not yet.
        style: What to draw, and how.
        size: Height and width of the picture, px; None: those of the frame.

    Returns:
        (H, W, 3) uint8 BGR, a new image.
    """
    return plot_next(result, style, size)[0]


def plot_next(
    result: Drawable,
    style: DrawStyle = _DEFAULT,
    size: tuple[int, int] | None = None,
    before: Mapping[int, Spot] | None = None,
) -> tuple[NDArray[np.uint8], dict[int, Spot]]:
    """Draw the next frame of a video: `plot`, with labels where they were.

    Args:
        result, style, size: See `plot`.
        before: Where the labels of tracked segments were in the last frame, as returned for it.

    Returns:
        The overlay, and where the labels are.
    """
    if size is not None and not (len(size) == 2 and all(isinstance(side, Integral) and side > 0 for side in size)):
        raise OptionError("size", "height and width, px, 1 or more", size)
    has_labels = style.shows("labels") or style.shows("scores")
    on_masks = style.shows("masks") or (has_labels and not style.shows("boxes"))
    annotations = Annotations(
        result.boxes,
        result.mask_crops() if on_masks else None,
        words_of(result, style),
        colours_of(result, style.colour_by),
        result.track_ids.tolist(),
    )
    return draw_overlay(result.frame, annotations, style, size, before)


def colours_of(result: Drawable, colour_by: ColourBy = "auto") -> list[Colour]:
    """A BGR colour per segment; see `Result.plot`."""
    n, tracks = len(result.boxes), result.track_ids.tolist()
    if colour_by == "auto":
        by_class = not result.prompts and any(result.labels)
        colour_by = "prompt" if len(result.prompts) > 1 else "class" if by_class else "track"
    if colour_by == "class":
        return palette(result.class_ids.tolist())
    if colour_by == "prompt":  # what a box or point selected has the colour after the last prompt's
        return palette(i if i >= 0 else len(result.prompts) for i in result.prompt_ids.tolist())
    return palette(tracks[i] if tracks[i] >= 0 else i for i in range(n))


def draw(result: Drawable, size: tuple[int, int] | None = None, text_scale: float | None = None) -> NDArray[np.uint8]:
    """Deprecated: the old name of `Result.plot`; `text_scale` is OpenCV's."""
    warn_renamed("draw(result)", "result.plot()")
    if text_scale is None:
        return plot(result, size=size)
    height, width = size or result.frame.shape[:2]
    return plot(result, DrawStyle(text_size=_OPENCV_TEXT_PX * text_scale / frame_scale(height, width)), size)
