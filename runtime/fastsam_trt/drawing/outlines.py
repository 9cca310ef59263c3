"""Draw smooth, antialiased outlines of masks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing.palette import Colour
from fastsam_trt.masks.mask_source import MaskCrop

_FRACTION_BITS = 4  # OpenCV draws at sixteenths of a pixel
_REACH = 0.6  # of the line's width: how far points are averaged to both sides
_SHORTEST = 8  # outlines, in reaches
_DEVIATION_PX = 0.3  # of the drawn line from the smoothed outline: half as many corners, which is half the time


def draw_outline(image: NDArray[np.uint8], crop: MaskCrop, colour: Colour, width_px: float) -> None:
    """Draw the outlines of a mask, of its holes too, in place.

    Masks follow the grid of pixels. Their outlines are averaged over about the width of the line, so that edges look as
    the object's do. No line is drawn along the frame's edge, where the object goes on, nor close to it, as masks often
    end there. Outlines of specks and small holes are left out, except the longest outline of a mask.

    Args:
        image: (H, W, 3) uint8 BGR, modified.
        crop: The mask inside its box.
        colour: BGR.
        width_px: Width of the line.
    """
    if not crop.pixels.size:
        return
    reach = max(round(_REACH * width_px), 1)
    edge, size = 2 * reach, np.array(image.shape[1::-1], np.float32)
    pixels = np.ascontiguousarray(crop.pixels).view(np.uint8)
    found, _ = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    longest = max(map(len, found), default=0)
    lines = []
    for outline in found:
        if len(outline) >= min(_SHORTEST * reach, longest):
            points = outline[:, 0].astype(np.float32) + np.array([crop.left, crop.top], np.float32)
            points[points <= edge] = -2 * width_px
            np.copyto(points, size + 2 * width_px, where=points >= size - 1 - edge)
            lines.append(np.rint(smooth(points, reach) * (1 << _FRACTION_BITS)).astype(np.int32))
    if lines:
        cv2.polylines(image, lines, True, colour, thickness(width_px), cv2.LINE_AA, _FRACTION_BITS)


def thickness(width_px: float) -> int:
    """The thickness to ask OpenCV for, to get an antialiased line of a width.

    With 1, 2, 3, 5, 7 and so on its lines are 1.4, 3.4, 5.4, 7.4 and 9.4 px wide; with 4 as with 3.
    """
    steps = round((width_px - 1.4) / 2)
    return 1 if steps <= 0 else 2 if steps == 1 else 2 * steps - 1


def smooth(points: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Average each point of a closed outline with its neighbours up to `reach` steps away, and keep the corners.

    Args:
        points: (n, 2) xy, px, one for each pixel of the outline.
        reach: In points; less for short outlines.

    Returns:
        (k, 2).
    """
    reach = min(reach, len(points) // 8)
    if reach < 1:
        return points
    around = np.concatenate([points[-reach - 1 :], points, points[:reach]])
    sums = around.cumsum(axis=0, dtype=np.float64)
    averages = (sums[2 * reach + 1 :] - sums[: -2 * reach - 1])[::reach] / (2 * reach + 1)
    return np.asarray(cv2.approxPolyDP(averages.astype(np.float32), _DEVIATION_PX, True)[:, 0], np.float32)
