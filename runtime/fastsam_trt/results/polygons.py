"""Polygons: outlines of masks along the edges of their pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.errors import OptionError
from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.results.outlines import Ring, edge_rings, join, simplify


def polygons(
    crops: Sequence[MaskCrop], simplify_px: float = 0.0, *, holes: bool = True
) -> list[list[NDArray[np.float32]]]:
    """Outline masks.

    Polygons run along the outer edges of boundary pixels. Whole numbers are pixel centres, as in OpenCV and Matplotlib:
    the pixel in column 3 spans 2.5 to 3.5. Boxes and COCO use pixel edges instead; add 0.5 for their coordinates.
    Flattened, the polygons of a mask are then COCO's `segmentation`, and `pycocotools` rasterises exact polygons back
    to the same mask. The area of the polygons is the area of the mask.

    A hole is joined to the outline by a line that is traversed both ways and encloses no area. A part inside a hole is
    a separate polygon.

    Args:
        crops: n masks inside their boxes.
        simplify_px: Tolerance of the Douglas-Peucker simplification (`cv2.approxPolyDP`), px; 0: exact.
        holes: Whether to cut out holes. Otherwise a polygon is the outer outline, with its holes filled.

    Returns:
        For each mask its polygons, one per connected part (8-connectivity): (k, 2) float32 xy, px of the frame, k of 4
        or more, or of 3 or more if simplified. An empty mask has no polygons.

    Raises:
        OptionError: `simplify_px` is negative or not finite.
    """
    rings = _rings(crops, simplify_px, holes=holes)
    corners = [np.array([crop.left - 0.5, crop.top - 0.5]) for crop in crops]
    return [
        [(join(part) + corner).astype(np.float32) for part in parts]
        for parts, corner in zip(rings, corners, strict=True)
    ]


def coco_polygons(crops: Sequence[MaskCrop], simplify_px: float = 0.0) -> list[list[list[int]]]:
    """Masks as COCO's `segmentation`: [x, y, x, y, ...] per part of a mask, along pixel edges, holes cut out.

    Args:
        crops: n masks inside their boxes.
        simplify_px: As in `polygons`.

    Raises:
        OptionError: `simplify_px` is negative or not finite.
    """
    return [
        [(join(part) + np.array([crop.left, crop.top])).ravel().tolist() for part in parts]
        for parts, crop in zip(_rings(crops, simplify_px, holes=True), crops, strict=True)
    ]


def _rings(crops: Sequence[MaskCrop], simplify_px: float, *, holes: bool) -> list[list[list[Ring]]]:
    """Rings of masks, see `edge_rings`; simplified."""
    if not (math.isfinite(simplify_px) and simplify_px >= 0):
        raise OptionError("simplify_px", "a number of 0 or more", simplify_px)
    rings = edge_rings([crop.pixels for crop in crops], holes=holes)
    if not simplify_px:
        return rings
    return [[[simplify(ring, simplify_px) for ring in part] for part in parts] for parts in rings]
