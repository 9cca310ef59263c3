"""Draw smooth, antialiased outlines of masks."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing.palette import Colour
from fastsam_trt.masks.mask_source import MaskCrop

_FRACTION_BITS = 4  # OpenCV draws at sixteenths of a pixel
_DEVIATION_PX = 0.3  # of the drawn line from the smoothed outline: half as many corners, which is half the time


def draw_outline(image: NDArray[np.uint8], crop: MaskCrop, colour: Colour, width_px: int) -> None:
    """Draw the outlines of a mask, of its holes too, in place.

    Masks follow the grid of pixels. Their outlines are averaged over about the width of the line, so that edges look as
    the object's do. Specks and holes shorter than the line is wide are left out, except the longest outline of a mask.

    Args:
        image: (H, W, 3) uint8 BGR, modified.
        crop: The mask inside its box.
        colour: BGR.
        width_px: Width of the line, 1 or more.
    """
    corner = np.array([crop.left, crop.top], np.float32)
    lines = [
        np.rint((line + corner) * (1 << _FRACTION_BITS)).astype(np.int32)
        for line in smooth_outlines(crop.pixels, width_px)
    ]
    if lines:
        cv2.polylines(image, lines, True, colour, width_px, cv2.LINE_AA, _FRACTION_BITS)


def smooth_outlines(pixels: NDArray[np.bool_], width_px: int) -> Iterator[NDArray[np.float32]]:
    """The outlines of a mask (h, w) bool as (k, 2) float32 xy, smoothed for a line of a width in px."""
    if not pixels.size:
        return
    found, _ = cv2.findContours(pixels.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    longest = max(map(len, found), default=0)
    for outline in found:
        if len(outline) >= min(4 * width_px, longest):
            yield _smooth(outline[:, 0].astype(np.float32), width_px)


def _smooth(points: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Average each point of a closed outline with its neighbours up to `reach` steps away, and keep the corners."""
    reach = min(reach, len(points) // 8)
    if reach < 1:
        return points
    around = np.concatenate([points[-reach - 1 :], points, points[:reach]])
    sums = around.cumsum(axis=0, dtype=np.float64)
    smoothed = (sums[2 * reach + 1 :] - sums[: -2 * reach - 1])[::reach] / (2 * reach + 1)
    return np.asarray(cv2.approxPolyDP(smoothed.astype(np.float32), _DEVIATION_PX, True)[:, 0], np.float32)
