"""Tint masks: paint which colour each pixel gets, then blend the frame with it once."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing.palette import Colour
from fastsam_trt.masks.mask_source import MaskCrop

_MOST_COLOURS = 255  # of an index image of uint8, without 0


def fill(
    image: NDArray[np.uint8], crops: Sequence[MaskCrop], colours: Sequence[Colour], opacity: float, *, smooth: bool
) -> None:
    """Tint masks in place. A pixel gets the colour of the last mask that has it; colours do not mix.

    Args:
        image: (H, W, 3) uint8 BGR, modified.
        crops: n masks inside their boxes, from back to front.
        colours: n BGR colours.
        opacity: Of the tint, 0..1.
        smooth: Whether to antialias the edges, if no outline covers them.
    """
    shown = [(crop, colour) for crop, colour in zip(crops, colours, strict=True) if crop.pixels.size]
    if not shown or opacity == 0:
        return
    height, width = image.shape[:2]
    margin = 1 if smooth else 0
    left = max(min(crop.left for crop, _ in shown) - margin, 0)
    top = max(min(crop.top for crop, _ in shown) - margin, 0)
    right = min(max(crop.left + crop.pixels.shape[1] for crop, _ in shown) + margin, width)
    bottom = min(max(crop.top + crop.pixels.shape[0] for crop, _ in shown) + margin, height)
    region = image[top:bottom, left:right]
    slots = {colour: slot for slot, colour in enumerate(dict.fromkeys(colour for _, colour in shown), 1)}
    index = np.zeros(region.shape[:2], np.uint8 if len(slots) <= _MOST_COLOURS else np.int32)
    for (x0, y0, pixels), colour in shown:
        rows, columns = pixels.shape
        np.copyto(index[y0 - top : y0 - top + rows, x0 - left : x0 - left + columns], slots[colour], where=pixels)
    tint = _colours_of(index, list(slots))
    covered = (index != 0).view(np.uint8) if index.dtype != np.uint8 else index
    if smooth:
        _blend_smoothly(region, tint, covered, opacity)
    else:
        cv2.copyTo(cv2.addWeighted(region, 1 - opacity, tint, opacity, 0), covered, region)


def _colours_of(index: NDArray[np.uint8] | NDArray[np.int32], colours: list[Colour]) -> NDArray[np.uint8]:
    """The colour of each pixel, (h, w, 3) uint8 BGR: black where the index is 0."""
    table = np.zeros((max(len(colours), _MOST_COLOURS) + 1, 3), np.uint8)
    table[1 : len(colours) + 1] = colours
    if index.dtype == np.uint8:
        return np.asarray(cv2.applyColorMap(index, table[:, None]), np.uint8)
    return table[index]


def _blend_smoothly(
    region: NDArray[np.uint8], tint: NDArray[np.uint8], covered: NDArray[np.uint8], opacity: float
) -> None:
    """Blend with the tint averaged over 3 x 3 px, so that opacity falls off across edges."""
    share = cv2.blur(np.where(covered, np.uint8(255), np.uint8(0)), (3, 3), borderType=cv2.BORDER_REPLICATE)
    soft = cv2.blur(tint, (3, 3), borderType=cv2.BORDER_REPLICATE)  # premultiplied: black outside
    rest = cv2.merge([np.asarray(cv2.convertScaleAbs(share, alpha=-opacity, beta=255), np.uint8)] * 3)
    kept = cv2.multiply(region, rest, scale=1 / 255)
    cv2.addWeighted(kept, 1, soft, opacity, 0, dst=region)
