"""Find a place for the label of each segment: on its mask, or else beside it, and never over another label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing.visible_masks import VisibleMasks

_MOST_COVERED = 0.2  # of a visible mask, by its label
_STEADY = 1.4  # factor on that limit in favour of where the label was before
_LEAST_DEPTH = 0.5  # of the deepest point: less deep ones are at the rim, or in an arm
_CENTRAL = 0.8  # of the deepest free point: points at least this deep count as the middle
_GAP_PX = 2  # between a label and its segment, or another label
_RINGS = (0.0, 1.2, 2.4, 3.6)  # distances from the segment, in heights of the label
_STAY = 6  # what the place of the last frame is worth, in candidates
_COVERED = 30  # what covering all of another segment costs, in candidates


class Spot(NamedTuple):
    """Where the centre of a label is, relative to the box of its segment, and whether that is on the mask."""

    x: float
    y: float
    on_mask: bool


class Place(NamedTuple):
    """Where a label goes.

    Attributes:
        left, top: Of the label, px.
        target: x and y, px, of the segment that a line should lead to; None if the label touches its segment.
        spot: The same place, to keep it in the next frame.
    """

    left: int
    top: int
    target: tuple[int, int] | None
    spot: Spot


class Placement:
    """The labels of one frame. They are placed one by one, the most important first."""

    def __init__(self, height: int, width: int, boxes: NDArray[np.floating], visible: VisibleMasks | None) -> None:
        """Begin with no label.

        Args:
            height, width: Of the frame, px.
            boxes: (n, 4) xyxy of the segments, px.
            visible: Their masks; None: labels go to the corners of boxes.
        """
        self._height, self._width = height, width
        self._boxes = np.clip(np.asarray(boxes, np.float64).reshape(-1, 4), 0, [width, height, width, height])
        self._visible = visible
        self._taken = np.empty((0, 4))

    def on_mask(self, index: int, width: int, height: int, before: Spot | None = None) -> Place | None:
        """A place on the visible part of a mask, about its middle; None if the label is too large, or in the way.

        Args:
            index: Of the segment.
            width, height: Of the label, px.
            before: Where the label was in the last frame.
        """
        visible = self._visible
        if visible is None:
            return None
        limit = _MOST_COVERED * (1 if before is None else _STEADY if before.on_mask else 1 / _STEADY)
        if width * height > limit * visible.area_px(index):
            return None
        depth, x, y = visible.depth(index, width / height)
        free = np.where(self._is_free(x, y, width, height), depth, 0)
        deepest = free.max(initial=0)
        if deepest == 0 or deepest < _LEAST_DEPTH * depth.max():
            return None
        middle = self._point(index, before) if before and before.on_mask else visible.centroid(index)
        wanted = middle or (x.mean(), y.mean())
        far = np.abs(x - wanted[0])[None] + np.abs(y - wanted[1])[:, None] * (width / height)
        row, column = np.unravel_index(int(np.where(free >= _CENTRAL * deepest, far, np.inf).argmin()), far.shape)
        return self._take(index, x[column] - width / 2, y[row] - height / 2, width, height, on_mask=True)

    def beside(self, index: int, width: int, height: int, before: Spot | None = None) -> Place | None:
        """A place around a segment: above, below, right or left of it, then farther away; None if there is none.

        Places that cover much of other segments come later. See `on_mask` for the arguments.
        """
        corners, touches = zip(*self._around(index, width, height), strict=True)
        rects = np.rint(np.array(corners))
        rects = np.concatenate([rects, rects + np.array([width, height])], axis=1)
        fits = (rects[:, :2] >= 0).all(axis=1) & (rects[:, 2:] <= (self._width, self._height)).all(axis=1)
        free = fits & ~(_overlap(rects, self._taken) > 0).any(axis=1)
        if not free.any():
            return None
        covered = _overlap(rects, np.delete(self._boxes, index, axis=0))
        cost = np.arange(len(rects)) + _COVERED * covered.sum(axis=1)
        if before is not None and not before.on_mask:
            centres = (rects[:, :2] + rects[:, 2:]) / 2
            cost[np.abs(centres - self._point(index, before)).sum(axis=1).argmin()] -= _STAY
        best = int(np.where(free, cost, np.inf).argmin())
        target = None if touches[best] else self._middle(index)
        return self._take(index, rects[best, 0], rects[best, 1], width, height, on_mask=False, target=target)

    def _middle(self, index: int) -> tuple[int, int]:
        """A point well inside a segment, x and y px."""
        x0, y0, x1, y1 = self._boxes[index].tolist()
        found = None if self._visible is None else self._visible.middle(index)
        x, y = found or ((x0 + x1) / 2, (y0 + y1) / 2)
        return int(x), int(y)

    def _around(self, index: int, width: int, height: int) -> Iterator[tuple[tuple[float, float], bool]]:
        """Places for the left top corner, the best first, and whether the label touches the segment there."""
        x0, y0, x1, y1 = self._boxes[index].tolist()
        if self._visible is None:  # the box is drawn
            yield from (((x, y), True) for x in (x0, x1 - width) for y in (y0 - height, y0, y1, y1 - height))
        middle = min(max((x0 + x1 - width) / 2, 0), self._width - width)  # slid along the edge of the frame
        level = min(max((y0 + y1 - height) / 2, 0), self._height - height)
        for ring in _RINGS:
            gap = ring * height + _GAP_PX
            above, below, right, left = y0 - height - gap, y1 + gap, x1 + gap, x0 - width - gap
            straight = ((middle, above), (middle, below), (right, level), (left, level))
            yield from ((corner, not ring) for corner in straight)
            yield from (((x, y), False) for y in (above, below) for x in (right, left))

    def _is_free(self, x: NDArray[np.float64], y: NDArray[np.float64], width: int, height: int) -> NDArray[np.bool_]:
        """Whether a label with its centre at a point of a grid is inside the frame, and over no other label.

        Args:
            x, y: (c,) and (r,) px.
            width, height: Of the label, px.

        Returns:
            (r, c) bool.
        """
        inside_x = (x >= width / 2) & (x <= self._width - width / 2)
        inside_y = (y >= height / 2) & (y <= self._height - height / 2)
        half = np.array([width / 2, height / 2]) + _GAP_PX + 0.5  # corners are rounded to whole px
        low, high = self._taken[:, None, :2] - half, self._taken[:, None, 2:] + half
        hit_x = (x > low[..., 0]) & (x < high[..., 0])  # (labels, c)
        hit_y = (y > low[..., 1]) & (y < high[..., 1])
        hits = hit_y.T.astype(np.float32) @ hit_x.astype(np.float32)
        return np.asarray(inside_y[:, None] & inside_x & (hits == 0), np.bool_)

    def _point(self, index: int, spot: Spot) -> tuple[float, float]:
        x0, y0, x1, y1 = self._boxes[index].tolist()
        return x0 + spot.x * (x1 - x0), y0 + spot.y * (y1 - y0)

    def _take(
        self, index: int, left: float, top: float, width: int, height: int, *, on_mask: bool,
        target: tuple[int, int] | None = None,
    ) -> Place:  # fmt: skip
        x, y = round(left), round(top)
        self._taken = np.concatenate([self._taken, [[x, y, x + width, y + height]]])
        x0, y0, x1, y1 = self._boxes[index].tolist()
        spot = Spot((x + width / 2 - x0) / max(x1 - x0, 1), (y + height / 2 - y0) / max(y1 - y0, 1), on_mask)
        return Place(x, y, target, spot)


def _overlap(rects: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k, m): which share of each of m rectangles each of k rectangles covers, 0..1; both xyxy."""
    left, top, right, bottom = rects.T[..., None]
    x0, y0, x1, y1 = others.T
    wide = np.maximum(np.minimum(right, x1) - np.maximum(left, x0), 0)
    high = np.maximum(np.minimum(bottom, y1) - np.maximum(top, y0), 0)
    return np.asarray(wide * high / np.maximum((x1 - x0) * (y1 - y0), 1), np.float64)
