"""Draw a comparison as one image with a row of three panels per model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.comparison.outcome import Comparison, ModelOutcome
from fastsam_trt.comparison.panels import Panel, heat, panel_size, panels
from fastsam_trt.drawing import labels

MARGIN_PX = 12
GAP_PX = 12
TITLE_PX = 40
HEADING_PX = 34
CAPTION_PX = 26
NOTE_PX = 20
LEAST_CELL_PX = 420  # so that headings fit above a narrow image

_TITLE_TEXT_PX, _TEXT_PX, _NOTE_TEXT_PX = 21, 16, 14
_WHITE = 255
_RULE = 210
_BAR_PX = 90


def draw_sheet(comparison: Comparison, top: int = 5) -> NDArray[np.uint8]:
    """Draw a comparison.

    Args:
        comparison: The comparison. This decodes the masks of all segments.
        top: How many of the best-ranked segments to number.

    Returns:
        (H, W, 3) uint8 BGR: a title, then per model a row with its heading and three panels of one size.
    """
    shown = [panels(outcome, top) for outcome in comparison.models]
    cell = cell_px(*comparison.image.shape[:2])
    notes = [labels.wrap(row[1].notes, cell - 8, _NOTE_TEXT_PX) for row in shown]
    lines = max(map(len, notes))
    rows = [
        _row(outcome, row, note, lines, cell)
        for outcome, row, note in zip(comparison.models, shown, notes, strict=True)
    ]
    return np.concatenate([_title(comparison, rows[0].shape[1]), *rows])


def cell_px(height: int, width: int) -> int:
    """Width of the cell, px, for a panel of a frame of (height, width)."""
    return max(panel_size(height, width)[1], LEAST_CELL_PX)


def _title(comparison: Comparison, width: int) -> NDArray[np.uint8]:
    strip = np.full((TITLE_PX, width, 3), _WHITE, np.uint8)
    height, wide = comparison.image.shape[:2]
    clip = f"   CLIP: {comparison.clip}" if comparison.clip else ""
    text = f"select: {' | '.join(comparison.prompts)}{clip}   image: {wide} x {height}"
    labels.write(strip, labels.cut(text, width - 2 * MARGIN_PX, _TITLE_TEXT_PX), MARGIN_PX, 28, _TITLE_TEXT_PX)
    return strip


def _row(
    outcome: ModelOutcome, row: tuple[Panel, ...], notes: list[str], note_lines: int, cell: int
) -> NDArray[np.uint8]:
    tall = row[0].image.shape[0]
    height = HEADING_PX + CAPTION_PX + tall + note_lines * NOTE_PX + MARGIN_PX
    strip = np.full((height, 2 * MARGIN_PX + 3 * cell + 2 * GAP_PX, 3), _WHITE, np.uint8)
    strip[:1, MARGIN_PX:-MARGIN_PX] = _RULE
    _heading(strip, outcome)
    for i, panel in enumerate(row):
        left = MARGIN_PX + i * (cell + GAP_PX)
        room = cell
        if panel.heat:
            room -= _bar(strip, left + cell, HEADING_PX + 5)
        baseline = HEADING_PX + 18
        labels.write(strip, labels.cut(panel.title, room, _TEXT_PX), left, baseline, _TEXT_PX)
        top = HEADING_PX + CAPTION_PX
        strip[top : top + tall, left : left + panel.image.shape[1]] = panel.image
        for line, text in enumerate(notes if panel.heat else ()):
            labels.write(strip, text, left, top + tall + 15 + line * NOTE_PX, _NOTE_TEXT_PX)
    return strip


def _heading(strip: NDArray[np.uint8], outcome: ModelOutcome) -> None:
    room = strip.shape[1] - 2 * MARGIN_PX
    name = labels.cut(outcome.name, room // 2, _TITLE_TEXT_PX)
    labels.write(strip, name, MARGIN_PX, 24, _TITLE_TEXT_PX)
    used = labels.width_px(name, _TITLE_TEXT_PX) + 18
    text = f"{outcome.family}, {outcome.engine}   {outcome.counts}   {outcome.ms['total']:.1f} ms"
    labels.write(strip, labels.cut(text, room - used, _TEXT_PX), MARGIN_PX + used, 24, _TEXT_PX)


def _bar(strip: NDArray[np.uint8], right: int, top: int) -> int:
    """Draw the colour scale of `heat`, which ends at `right`, and return its width, px."""
    bar = np.array([heat(i / (_BAR_PX - 1)) for i in range(_BAR_PX)], np.uint8)
    left = right - 14 - _BAR_PX
    strip[top : top + 12, left : left + _BAR_PX] = bar
    labels.write(strip, "0", left - 14, top + 12, _NOTE_TEXT_PX)
    labels.write(strip, "1", right - 10, top + 12, _NOTE_TEXT_PX)
    return _BAR_PX + 40
