"""Polygons: the outlines of masks along the edges of their pixels, found inside their crops."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.errors import OptionError
from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.results.outlines import edge_rings, join, simplify


def polygons(
    crops: Sequence[MaskCrop], simplify_px: float = 0.0, *, holes: bool = True
) -> list[list[NDArray[np.float32]]]:
    """Outline masks.

    A polygon runs along the outer edges of the rim's pixels, in the frame of pixel centres, as OpenCV and Matplotlib
    have it: the pixel of column 3 reaches from 2.5 to 3.5. Boxes and COCO count from a pixel's left and top edge: add
    0.5 for their frame. Flattened, the polygons of a mask are then COCO's `segmentation`, and the exact ones are the
    mask again once `pycocotools` has rasterised them. The area inside them is the number of the mask's pixels.

    A hole is cut out by a line there and back from its polygon's outline, which encloses nothing; what lies inside a
    hole is a polygon of its own.

    Args:
        crops: n masks inside their boxes.
        simplify_px: Tolerance of Douglas and Peucker's simplification (`cv2.approxPolyDP`), px; 0: exact.
        holes: Whether to cut out holes. Without them a polygon is an outer outline alone, filled with all it encloses.

    Returns:
        For each mask its polygons, one for each part that does not touch another (a corner is a touch): (k, 2) float32
        xy, px of the frame, with k of 4 or more, or of 3 where simplified. A mask without pixels has no polygon.

    Raises:
        OptionError: `simplify_px` is negative or no finite number.
    """
    if not (math.isfinite(simplify_px) and simplify_px >= 0):
        raise OptionError("simplify_px", "a number of 0 or more", simplify_px)
    found = edge_rings([crop.pixels for crop in crops], holes=holes)
    if simplify_px:
        found = [[[simplify(ring, simplify_px) for ring in part] for part in parts] for parts in found]
    corners = [np.array([crop.left - 0.5, crop.top - 0.5]) for crop in crops]
    return [
        [(join(part) + corner).astype(np.float32) for part in parts]
        for parts, corner in zip(found, corners, strict=True)
    ]


def coco_polygons(crops: Sequence[MaskCrop]) -> list[list[list[int]]]:
    """Masks as COCO's `segmentation`: [x, y, x, y, ...] of each part of each mask, along pixel edges, holes cut out."""
    found = edge_rings([crop.pixels for crop in crops])
    return [
        [(join(part) + np.array([crop.left, crop.top])).ravel().tolist() for part in parts]
        for parts, crop in zip(found, crops, strict=True)
    ]
