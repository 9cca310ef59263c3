"""Overlays of segments on a frame, and three-panel images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing import labels
from fastsam_trt.drawing.labels import Colour
from fastsam_trt.drawing.resize import resize_image, resize_mask_crops
from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.results.result import Result

_ALPHA = 0.4
_PALETTE: tuple[Colour, ...] = (  # BGR; the Okabe-Ito palette, which colour-blind people can distinguish
    (233, 180, 86), (0, 159, 230), (115, 158, 0), (66, 228, 240), (178, 114, 0), (0, 94, 213), (167, 121, 204),
)  # fmt: skip


class Overlay:
    """The overlay of the latest result, drawn once for all sinks that show it."""

    def __init__(self) -> None:
        self._result: Result | None = None
        self._image: NDArray[np.uint8] | None = None

    def of(self, result: Result) -> NDArray[np.uint8]:
        """The overlay of a result, (H, W, 3) uint8 BGR; shared, so do not write to it."""
        if self._image is None or result is not self._result:
            self._result, self._image = result, draw(result)
        return self._image


def draw(result: Result, size: tuple[int, int] | None = None, text_scale: float | None = None) -> NDArray[np.uint8]:
    """Draw the selected segments: tinted masks with outlines and captions.

    Args:
        result: A frame's result; its masks are decoded if they are not yet.
        size: Height and width of the output, px; None: those of the frame.
        text_scale: OpenCV's font scale; None: chosen by the size of the image.

    Returns:
        (H, W, 3) uint8 BGR, a new image.
    """
    frame, crops, boxes = result.frame, result.mask_crops(), result.boxes
    if size is not None and size != frame.shape[:2]:
        crops = resize_mask_crops(crops, frame.shape[:2], size)
        boxes = boxes * (np.array([size[1], size[0]] * 2) / np.array([frame.shape[1], frame.shape[0]] * 2))
        frame = resize_image(frame, size)
    colours = palette(_colour_keys(result))
    image = tint(frame, crops, colours)
    tags = labels.Tags(image, text_scale)
    for box, text, colour in zip(boxes, captions(result, drawn=True), colours, strict=True):
        tags.draw(text, int(box[0]), int(box[1]), colour)
    return image


def draw_panels(result: Result) -> NDArray[np.uint8]:
    """Draw three panels side by side: the original, all segments, and the selection.

    Args:
        result: A frame's result. The masks of all its segments are decoded, not only those of the selected ones.

    Returns:
        (H + height of the headings, 3 W + gaps, 3) uint8 BGR.
    """
    segments = result.segments
    everything = segments.masks.decode(range(len(segments)))
    names = ", ".join(drawn_name(prompt, f"prompt {i}") for i, prompt in enumerate(result.prompts))
    wanted = f": {names}" if names else ""
    panels = (
        ("original", result.frame),
        (f"all segments ({len(segments)})", tint(result.frame, everything, palette(range(len(segments))))),
        (f"selected{wanted} ({len(result)})", draw(result)),
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
    frame: NDArray[np.uint8], crops: Sequence[MaskCrop], colours: Sequence[Colour], *, alpha: float = _ALPHA
) -> NDArray[np.uint8]:
    """Tint masks and draw their outlines, later ones on top. Only the masks' crops are processed.

    Args:
        frame: (H, W, 3) uint8 BGR; not modified.
        crops: n masks inside their boxes.
        colours: n BGR colours.
        alpha: Opacity of the tint, 0..1.

    Returns:
        (H, W, 3) uint8 BGR, a new image.
    """
    image = frame.copy()
    thickness = max(2, round(min(frame.shape[:2]) / 300))
    for (left, top, pixels), colour in zip(crops, colours, strict=True):
        if not pixels.any():
            continue
        height, width = pixels.shape
        region = image[top : top + height, left : left + width]
        mask = pixels.view(np.uint8)
        flat = np.empty_like(region)
        flat[:] = colour
        cv2.copyTo(cv2.addWeighted(region, 1 - alpha, flat, alpha, 0), mask, region)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(image, outlines, -1, colour, thickness, cv2.LINE_AA, offset=(left, top))
    return image


def palette(keys: Iterable[int]) -> list[Colour]:
    """A BGR colour per key; equal keys have equal colours."""
    return [_PALETTE[key % len(_PALETTE)] for key in keys]


def drawn_name(name: str, number: str) -> str:
    """The name if it can be drawn; the number if no installed font has its letters."""
    return name if labels.can_write(name) else number


def captions(result: Result, *, drawn: bool = False) -> list[str]:
    """Captions of the selected segments: prompt or class, similarity or score, and track id.

    Args:
        result: A frame's result.
        drawn: Whether the captions will be drawn. Names that no font can draw then become numbers.
    """
    texts = []
    for known, class_id, prompt_id, score, similarity, track_id in zip(
        result.display_names,
        result.class_ids.tolist(),
        result.prompt_ids.tolist(),
        result.scores,
        result.similarities,
        result.track_ids.tolist(),
        strict=True,
    ):
        name = known or ""
        if drawn:
            name = drawn_name(name, f"prompt {prompt_id}" if prompt_id >= 0 else f"class {class_id}")
        confidence = score if np.isnan(similarity) else similarity
        words = [name, f"{confidence:.2f}", f"#{track_id}" if track_id >= 0 else ""]
        texts.append(" ".join(filter(None, words)))
    return texts


def _colour_keys(result: Result) -> list[int]:
    """Colour keys: prompt ids if there are several prompts, class ids if there are none, else track ids or indices."""
    if len(result.prompts) > 1:
        return [int(prompt_id) for prompt_id in result.prompt_ids]
    if not result.prompts and any(result.labels):
        return [int(class_id) for class_id in result.class_ids]
    return [track_id if track_id >= 0 else i for i, track_id in enumerate(result.track_ids.tolist())]


def _heading(sheet: NDArray[np.uint8], title: str, left: int, width: int, height: int) -> None:
    scale = height / 42
    scale = max(scale * min(1.0, (width - 12) / max(labels.width_px(title, scale), 1)), 0.05)
    labels.write(sheet, title, left + 6, round(height * 0.72), scale=scale)
