"""BoxSelector: for every box prompt the segment that fits it best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.masks.mask_source import MaskCrop, MaskSource
from fastsam_trt.prompts.regions import OutsideName, box_pixels, outer_pixels
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors.selection import Selection


class BoxSelector:
    """Selects for every box the segment whose mask has the highest IoU with it (FastSAM, arXiv 2306.12156).

    A mask lies inside its segment's box. So its IoU with a prompt is at most the fraction of the prompt that the
    segment's box covers. Masks are decoded in the order of this bound, highest first, until no other mask can win. The
    first of equal masks wins. A box that overlaps no mask selects nothing.
    """

    def __init__(self, boxes: NDArray[np.float64], outside: OutsideName = "refuse") -> None:
        """Store the prompts.

        Args:
            boxes: (k, 4) xyxy, px of the frame, checked by `check_boxes`.
            outside: What to do with boxes that lie completely outside a frame.
        """
        self._boxes, self._outside = boxes, outside

    def select(self, frame: NDArray[np.uint8], segments: Segments) -> Selection:
        """Select the best segment of every box.

        Raises:
            PromptError: A box lies completely outside the frame, and is not to be ignored.
        """
        height, width = frame.shape[:2]
        boxes = box_pixels(self._boxes, height, width, self._outside)[:, None]
        edges = outer_pixels(segments.boxes, height, width)
        sides = np.minimum(boxes[..., 2:], edges[:, 2:]) - np.maximum(boxes[..., :2], edges[:, :2])
        bounds = sides.clip(0).prod(axis=2) / (boxes[..., 2:] - boxes[..., :2]).prod(axis=2)  # (k, n)
        best = [_best(box.tolist(), bound, segments.masks) for box, bound in zip(boxes[:, 0], bounds, strict=True)]
        winners = np.unique(np.array(best, np.intp))
        return Selection.without_prompt(winners[winners >= 0])


def mask_box_iou(crop: MaskCrop, box: list[int]) -> float:
    """Return the IoU of a mask with a box of whole px, xyxy with x1 and y1 exclusive, inside the frame."""
    (x0, y0, x1, y1), (left, top, pixels) = box, crop
    shared = np.count_nonzero(pixels[max(y0 - top, 0) : max(y1 - top, 0), max(x0 - left, 0) : max(x1 - left, 0)])
    return shared / ((x1 - x0) * (y1 - y0) + np.count_nonzero(pixels) - shared)


def _best(box: list[int], bounds: NDArray[np.float64], masks: MaskSource) -> int:
    """Return the index of the mask that fits the box best, the first of equal masks; -1 if none overlaps it."""
    best, winner = 0.0, -1
    for bound in np.unique(bounds[bounds > 0])[::-1].tolist():
        if bound < best:
            break
        tied = np.flatnonzero(bounds == bound).tolist()
        for index, crop in zip(tied, masks.decode(tied), strict=True):
            iou = mask_box_iou(crop, box)
            if iou > best or (iou == best and index < winner):
                best, winner = iou, index
    return winner
