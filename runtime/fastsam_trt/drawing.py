"""Drawing: segments over a frame, and the three-panel picture. Only pixels inside boxes are touched."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks import MaskCrop
from fastsam_trt.result import Result

_ALPHA = 0.4
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_PALETTE: tuple[tuple[int, int, int], ...] = (  # BGR; Okabe and Ito's colours, told apart by colour-blind readers
    (233, 180, 86), (0, 159, 230), (115, 158, 0), (66, 228, 240), (178, 114, 0), (0, 94, 213), (167, 121, 204),
)  # fmt: skip


def draw(result: Result) -> NDArray[np.uint8]:
    """Draw the selected segments: tinted masks with outlines, each with what it answers.

    Args:
        result: A frame's result; its masks are decoded if they are not yet.

    Returns:
        (H, W, 3) uint8 BGR, a new picture.
    """
    colours = [_PALETTE[key % len(_PALETTE)] for key in _colour_keys(result)]
    picture = tint(result.frame, result.crops(), colours)
    for box, text, colour in zip(result.boxes, captions(result), colours, strict=True):
        _tag(picture, text, int(box[0]), int(box[1]), colour)
    return picture


def draw_panels(result: Result) -> NDArray[np.uint8]:
    """Draw the original, all segments, and the selection side by side.

    Args:
        result: A frame's result. For this picture the masks of all segments are decoded.

    Returns:
        (H + a heading, 3 W and gaps, 3) uint8 BGR.
    """
    segments = result.segments
    everything = segments.masks.decode(range(len(segments)))
    all_colours = [_PALETTE[i % len(_PALETTE)] for i in range(len(segments))]
    wanted = ", ".join(result.prompts) or "everything"
    panels = (
        ("original", result.frame),
        (f"all segments ({len(segments)})", tint(result.frame, everything, all_colours)),
        (f"selected: {wanted} ({len(result)})", draw(result)),
    )
    height, width = result.frame.shape[:2]
    heading = max(28, height // 20)
    gap = max(4, width // 160)
    sheet = np.full((height + heading, 3 * width + 2 * gap, 3), 255, np.uint8)
    for i, (title, panel) in enumerate(panels):
        left = i * (width + gap)
        sheet[heading:, left : left + width] = panel
        _heading(sheet, title, left, width, heading)
    return sheet


def tint(
    frame: NDArray[np.uint8], crops: Sequence[MaskCrop], colours: Sequence[tuple[int, int, int]]
) -> NDArray[np.uint8]:
    """Tint masks and draw their outlines, later ones on top.

    Args:
        frame: (H, W, 3) uint8 BGR; not changed.
        crops: n masks inside their boxes.
        colours: n BGR colours.

    Returns:
        (H, W, 3) uint8 BGR, a new picture.
    """
    picture = frame.copy()
    thickness = max(2, round(min(frame.shape[:2]) / 300))
    for (left, top, pixels), colour in zip(crops, colours, strict=True):
        if not pixels.any():
            continue
        height, width = pixels.shape
        region = picture[top : top + height, left : left + width]
        mask = pixels.view(np.uint8)
        flat = np.empty_like(region)
        flat[:] = colour
        cv2.copyTo(cv2.addWeighted(region, 1 - _ALPHA, flat, _ALPHA, 0), mask, region)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(picture, outlines, -1, colour, thickness, cv2.LINE_AA, offset=(left, top))
    return picture


def captions(result: Result) -> list[str]:
    """What each selected segment is, in a few words: prompt or class, and how sure that is."""
    texts = []
    for label, prompt_id, score, similarity in zip(
        result.labels, result.prompt_ids.tolist(), result.scores, result.similarities, strict=True
    ):
        name = result.prompts[prompt_id] if prompt_id >= 0 else label
        sure = score if np.isnan(similarity) else similarity
        texts.append(f"{name} {sure:.2f}" if name else f"{sure:.2f}")
    return texts


def _colour_keys(result: Result) -> list[int]:
    """A number a segment: its prompt's with several prompts, its class's with none, else its own."""
    if len(result.prompts) > 1:
        return [int(prompt_id) for prompt_id in result.prompt_ids]
    if not result.prompts and any(result.labels):
        return [int(class_id) for class_id in result.class_ids]
    return list(range(len(result)))


def _tag(picture: NDArray[np.uint8], text: str, left: int, top: int, colour: tuple[int, int, int]) -> None:
    scale = max(0.4, min(picture.shape[:2]) / 1200)
    thickness = max(1, round(scale * 1.5))
    (width, height), base = cv2.getTextSize(_ascii(text), _FONT, scale, thickness)
    top = max(top, height + base)
    left = min(max(left, 0), max(picture.shape[1] - width, 0))
    cv2.rectangle(picture, (left, top - height - base), (left + width, top), colour, cv2.FILLED)
    cv2.putText(picture, _ascii(text), (left, top - base // 2 - 1), _FONT, scale, (0, 0, 0), thickness, cv2.LINE_AA)


def _heading(sheet: NDArray[np.uint8], title: str, left: int, width: int, height: int) -> None:
    title = _ascii(title)
    scale = height / 42
    wide = cv2.getTextSize(title, _FONT, scale, 1)[0][0]
    scale = scale * min(1.0, (width - 12) / max(wide, 1))
    cv2.putText(sheet, title, (left + 6, round(height * 0.72)), _FONT, max(scale, 0.05), (30, 30, 30), 1, cv2.LINE_AA)


def _ascii(text: str) -> str:
    """OpenCV's fonts have ASCII only; other characters become '?'."""
    return text.encode("ascii", "replace").decode("ascii")
