"""Three panels side by side: the original, all segments, and the selection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing import labels
from fastsam_trt.drawing.overlay import largest_first, paint_masks
from fastsam_trt.drawing.palette import palette
from fastsam_trt.drawing.style import DrawStyle
from fastsam_trt.results.captions import drawn_name
from fastsam_trt.results.plot import plot
from fastsam_trt.results.result import Result

_WHITE = 255
_LEAST_TEXT_PX = 5


def draw_panels(result: Result, style: DrawStyle | None = None) -> NDArray[np.uint8]:
    """Draw three panels: the original, all segments, and the selection.

    Args:
        result: A frame's result. The masks of all its segments are decoded, not only those of the selected ones.
        style: How to draw the selection; None: the default.

    Returns:
        (H + height of the headings, 3 W + gaps, 3) uint8 BGR.
    """
    style = style or DrawStyle()
    segments, (height, width) = result.segments, result.frame.shape[:2]
    crops = segments.masks.decode(range(len(segments)))
    everything, order = result.frame.copy(), largest_first(crops)
    paint_masks(everything, [crops[i] for i in order], palette(order), style.opacity, style.line_px(height, width))
    names = ", ".join(drawn_name(prompt, f"prompt {i}") for i, prompt in enumerate(result.prompts))
    wanted = f": {names}" if names else ""
    panels = (
        ("original", result.frame),
        (f"all segments ({len(segments)})", everything),
        (f"selected{wanted} ({len(result)})", plot(result, style)),
    )
    heading = max(28, height // 20)
    gap = max(4, width // 160)
    sheet = np.full((height + heading, 3 * width + 2 * gap, 3), _WHITE, np.uint8)
    for i, (title, panel) in enumerate(panels):
        left = i * (width + gap)
        sheet[heading:, left : left + width] = panel
        _write_heading(sheet, title, left, width, heading)
    return sheet


def _write_heading(sheet: NDArray[np.uint8], title: str, left: int, width: int, height: int) -> None:
    """Write a title over a panel, smaller if it is too wide."""
    size_px = round(height * 0.65)
    share = (width - 12) / max(labels.width_px(title, size_px), 1)
    size_px = max(int(size_px * min(share, 1)), _LEAST_TEXT_PX)
    text = labels.cut(title, max(width - 6, 1), size_px)
    labels.write(sheet, text, left + 6, round(height * 0.72), size_px)
