"""Polygons: the outer outlines of masks, found inside their crops."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.errors import OptionError
from fastsam_trt.masks import MaskCrop

_LEAST_VERTICES = 3


def polygons(crops: Sequence[MaskCrop], simplify_px: float = 0.0) -> list[list[NDArray[np.float32]]]:
    """Outline masks.

    A vertex is the centre of a pixel of the mask's rim, named by that pixel's column and row, as OpenCV has it: filled
    with `cv2.fillPoly`, one polygon after the other, exact polygons give the mask back. Boxes and `pycocotools` count
    from a pixel's left and top edge instead: add 0.5 for their frame, in which a polygon runs half a pixel inside the
    mask's rim. A flattened polygon is a list of COCO's `segmentation`.

    Holes are dropped, with what lies inside them: lists of polygons, COCO's too, can't say them; RLE can.

    Args:
        crops: n masks inside their boxes.
        simplify_px: Tolerance of Douglas and Peucker's simplification (`cv2.approxPolyDP`), px; 0: exact.

    Returns:
        For each mask its polygons, one for each part that does not touch another (a corner is a touch): (k, 2) float32
        xy, px of the frame. A part of one pixel or a line of pixels has its last vertex repeated,
        so that k is 3 or more and nothing is lost; a mask without pixels has no polygon.

    Raises:
        OptionError: `simplify_px` is negative or no finite number.
    """
    if not (math.isfinite(simplify_px) and simplify_px >= 0):
        raise OptionError("simplify_px", "a number of 0 or more", simplify_px)
    return [_outlines(crop, simplify_px) for crop in crops]


def _outlines(crop: MaskCrop, simplify_px: float) -> list[NDArray[np.float32]]:
    if not crop.pixels.any():
        return []
    contours, _ = cv2.findContours(
        crop.pixels.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(crop.left, crop.top)
    )
    if simplify_px:
        contours = [cv2.approxPolyDP(contour, simplify_px, closed=True) for contour in contours]
    return [_whole(contour.reshape(-1, 2).astype(np.float32)) for contour in contours]


def _whole(vertices: NDArray[np.float32]) -> NDArray[np.float32]:
    missing = max(_LEAST_VERTICES - len(vertices), 0)
    return np.concatenate([vertices, np.repeat(vertices[-1:], missing, axis=0)]) if missing else vertices
