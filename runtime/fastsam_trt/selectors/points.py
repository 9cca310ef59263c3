"""PointSelector: the segments that lie under point prompts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.prompts.regions import OutsideName, outer_pixels, point_pixels
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors.selection import Selection


class PointSelector:
    """Selects every segment whose mask contains a point. Only masks whose box contains one are decoded."""

    def __init__(self, points: NDArray[np.float64], outside: OutsideName = "refuse") -> None:
        """Store the prompts.

        Args:
            points: (k, 2) xy, px of the frame, checked by `check_points`.
            outside: What to do with points outside a frame.
        """
        self._points, self._outside = points, outside

    def select(self, frame: NDArray[np.uint8], segments: Segments) -> Selection:
        """Select the segments under the points.

        Raises:
            PromptError: A point lies outside the frame, and is not to be ignored.
        """
        height, width = frame.shape[:2]
        points = point_pixels(self._points, height, width, self._outside)
        (x, y), (x0, y0, x1, y1) = points.T, outer_pixels(segments.boxes, height, width).T[..., None]
        near = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)  # (n, k)
        candidates = np.flatnonzero(near.any(axis=1))
        crops = segments.masks.decode(candidates.tolist())
        held = [
            any(crop.holds(x, y) for x, y in points[inside].tolist())
            for crop, inside in zip(crops, near[candidates], strict=True)
        ]
        return Selection.without_prompt(candidates[np.array(held, np.bool_)])
