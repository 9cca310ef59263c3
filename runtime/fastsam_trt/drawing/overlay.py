"""Overlays: draw segments on a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.import_names import moved_names
from fastsam_trt.drawing.fill import fill
from fastsam_trt.drawing.label_layout import LabelLayout
from fastsam_trt.drawing.labels import Label
from fastsam_trt.drawing.outlines import draw_outline, thickness
from fastsam_trt.drawing.palette import Colour
from fastsam_trt.drawing.placement import Place, Placement, Spot
from fastsam_trt.drawing.resize import resize_image, resize_mask_crops
from fastsam_trt.drawing.style import DrawStyle
from fastsam_trt.drawing.visible_masks import VisibleMasks
from fastsam_trt.masks.mask_source import MaskCrop

__getattr__ = moved_names(
    __name__,
    {
        "Overlay": "fastsam_trt.sinks.shared_overlay",
        "captions": "fastsam_trt.results.captions",
        "draw": "fastsam_trt.results.plot",
        "draw_panels": "fastsam_trt.results.panels",
        "drawn_name": "fastsam_trt.results.captions",
        "palette": "fastsam_trt.drawing.palette",
    },
)


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """What to draw of n segments, the most important first.

    Attributes:
        boxes: (n, 4) xyxy, px of the frame.
        crops: n masks inside their boxes; None if neither masks nor labels on them are drawn.
        labels: n labels as words, such as `("red car", "0.87")`; without words there is no label.
        colours: n BGR colours.
        track_ids: n numbers that stay with an object from frame to frame; -1: none.
    """

    boxes: NDArray[np.floating]
    crops: Sequence[MaskCrop] | None
    labels: Sequence[tuple[str, ...]]
    colours: Sequence[Colour]
    track_ids: Sequence[int]

    def resized(self, frame: tuple[int, int], size: tuple[int, int]) -> Annotations:
        """The same for a frame of (height, width) `frame`, px, that is resized to `size`."""
        scale = np.array([size[1] / frame[1], size[0] / frame[0]] * 2)
        crops = None if self.crops is None else resize_mask_crops(self.crops, frame, size)
        return Annotations(self.boxes * scale, crops, self.labels, self.colours, self.track_ids)


def draw_overlay(
    frame: NDArray[np.uint8],
    annotations: Annotations,
    style: DrawStyle,
    size: tuple[int, int] | None = None,
    before: Mapping[int, Spot] | None = None,
) -> tuple[NDArray[np.uint8], dict[int, Spot]]:
    """Draw segments on a frame: tints and outlines, larger ones below smaller ones, then boxes, then labels.

    Labels do not cover each other; `LabelLayout` says where they go.

    Args:
        frame: (H, W, 3) uint8 BGR; not modified.
        annotations: The segments.
        style: What to draw of them, and how.
        size: Height and width of the output, px; None: those of the frame.
        before: Where labels were in the last frame, by track id, to keep them there.

    Returns:
        The overlay, (H, W, 3) uint8 BGR, a new image; and where the labels of tracked segments are.
    """
    shape = frame.shape[0], frame.shape[1]
    if size is not None and size != shape:
        annotations = annotations.resized(shape, size)
        image = resize_image(frame, size)
    else:
        image = frame.copy()
    height, width = image.shape[:2]
    line_px = style.line_px(height, width)
    order = [] if annotations.crops is None else largest_first(annotations.crops)
    if style.shows("masks") and annotations.crops is not None:
        crops, colours = [annotations.crops[i] for i in order], [annotations.colours[i] for i in order]
        paint_masks(image, crops, colours, style.opacity, line_px)
    if style.shows("boxes") and line_px:
        _draw_boxes(image, annotations, line_px)
    if not (style.shows("labels") or style.shows("scores")):
        return image, {}
    return image, _draw_labels(image, annotations, style, order, line_px, before or {})


def tint(
    frame: NDArray[np.uint8], crops: Sequence[MaskCrop], colours: Sequence[Colour], *, alpha: float = 0.4
) -> NDArray[np.uint8]:
    """Tint masks and draw their outlines on a copy of a frame; see `paint_masks`.

    Returns:
        (H, W, 3) uint8 BGR, a new image.
    """
    image = frame.copy()
    paint_masks(image, crops, colours, alpha, DrawStyle().line_px(*frame.shape[:2]))
    return image


def paint_masks(
    image: NDArray[np.uint8], crops: Sequence[MaskCrop], colours: Sequence[Colour], opacity: float, line_px: float
) -> None:
    """Tint masks and draw their outlines, in place. Only the region that the masks span is processed.

    Args:
        image: (H, W, 3) uint8 BGR, modified.
        crops: n masks inside their boxes, from back to front.
        colours: n BGR colours.
        opacity: Of the tint, 0..1.
        line_px: Width of the outlines; 0: none.
    """
    fill(image, crops, colours, opacity, smooth=not line_px)
    if line_px:
        for crop, colour in zip(crops, colours, strict=True):
            draw_outline(image, crop, colour, line_px)


def largest_first(crops: Sequence[MaskCrop]) -> list[int]:
    """Indices of masks by their area, so that small ones are drawn over large ones."""
    areas = [np.count_nonzero(crop.pixels) for crop in crops]
    return sorted(range(len(crops)), key=lambda i: -areas[i])


def _draw_boxes(image: NDArray[np.uint8], annotations: Annotations, line_px: float) -> None:
    height, width = image.shape[:2]
    for box, colour in zip(annotations.boxes, annotations.colours, strict=True):
        x0, y0, x1, y1 = np.clip(np.rint(box), 0, [width, height, width, height]).astype(int).tolist()
        cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), colour, max(round(line_px), 1))


def _draw_labels(
    image: NDArray[np.uint8],
    annotations: Annotations,
    style: DrawStyle,
    order: Sequence[int],
    line_px: float,
    before: Mapping[int, Spot],
) -> dict[int, Spot]:
    height, width = image.shape[:2]
    visible = None if annotations.crops is None else VisibleMasks(height, width, annotations.crops, order)
    placement = Placement(height, width, annotations.boxes, visible)
    layout = LabelLayout(annotations.labels, style.text_px(height, width), height, width, placement)
    placed, spots = list[tuple[Label, Place, Colour]](), dict[int, Spot]()
    for index, (track_id, colour) in enumerate(zip(annotations.track_ids, annotations.colours, strict=True)):
        found = layout.place(index, before.get(track_id))
        if found is not None:
            placed.append((*found, colour))
            if track_id >= 0:
                spots[track_id] = found[1].spot
    for label, place, colour in placed:  # lines first, so that no line crosses a label
        if place.target is not None:
            middle = place.left + label.width // 2, place.top + label.height // 2
            cv2.line(image, middle, place.target, colour, thickness(line_px / 2), cv2.LINE_AA)
            cv2.circle(image, place.target, max(round(line_px), 2), colour, cv2.FILLED, cv2.LINE_AA)
    for label, place, colour in placed:
        label.draw(image, place.left, place.top, colour)
    return spots
