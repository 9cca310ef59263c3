"""Outlines of masks: closed rings around parts and holes, and rings joined into one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Ring: TypeAlias = NDArray[np.int32]
"""(k, 2) int32 xy, the corners of a closed line; the last corner connects to the first."""

# Directions are numbered clockwise on the screen: 0 east, 1 south-east, 2 south, and so on to 7 north-east.
_DIRECTIONS = np.array([[5, 6, 7], [4, 8, 0], [3, 2, 1]], np.int8)  # [1 + dy, 1 + dx]; 8: a part of one pixel
_CORNERS = np.array([[0, 0], [1, 1], [0, 0], [0, 1], [0, 0], [0, 0], [0, 0], [1, 0]], np.int32)  # by odd direction
_FIRST = np.array([7, 1, 1, 3, 3, 5, 5, 7], np.int8)  # the corner where a border enters a pixel, by direction
_NEAR = 4096  # candidate corners when a ring is joined to the others


def _count_sides() -> NDArray[np.int64]:
    """Number of sides of a pixel that a border follows: (9, 8), by its next and its previous direction."""
    sides = np.full((9, 8), 4)  # all around
    for leaving in range(8):
        for back in range(8):
            if leaving != back or back % 2 == 0:
                sides[leaving, back] = (_FIRST[back] - (leaving if leaving % 2 else leaving + 1)) % 8 // 2
    return sides.astype(np.int64)


_SIDES = _count_sides()


def edge_rings(masks: Sequence[NDArray[np.bool_]], *, holes: bool = True) -> list[list[list[Ring]]]:
    """Rings along the edges of masks' pixels. Filling the rings by the even-odd rule gives back the mask.

    OpenCV's borders connect the centres of boundary pixels, with the background on their right. This function walks
    around each boundary pixel on that side, from where the border enters it to where it leaves.

    Args:
        masks: n masks (h, w) bool.
        holes: Whether to return rings of holes. Without them, parts that lie inside a hole have no ring either.

    Returns:
        For each mask one list per part: the outer ring, then the rings of its holes, in pixel edges from (0, 0) to
        (w, h). Parts that touch at a corner count as one. Consecutive edges of a ring are at right angles.
    """
    mode = cv2.RETR_CCOMP if holes else cv2.RETR_EXTERNAL
    found = [_borders(mask, mode, cv2.CHAIN_APPROX_NONE) for mask in masks]
    rings = iter(_around([border for borders, _ in found for border in borders]))
    return [_parts(list(islice(rings, len(parents))), parents) for _, parents in found]


def centre_rings(mask: NDArray[np.bool_]) -> list[list[Ring]]:
    """Rings through the centres of a mask's boundary pixels. `cv2.fillPoly` gives back the mask.

    Args:
        mask: (h, w) bool.

    Returns:
        One list of rings per part, as in `edge_rings`, in columns and rows. A ring may have only one or two corners.
    """
    return _parts(*_borders(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE))


def simplify(ring: Ring, tolerance_px: float) -> Ring:
    """Drop corners (Douglas-Peucker, `cv2.approxPolyDP`).

    Args:
        ring: (k, 2) with k of 3 or more.
        tolerance_px: Largest distance between the ring and its simplification.

    Returns:
        (k, 2) with k of 3 or more. A ring that would collapse becomes its bounding box.
    """
    simple = cv2.approxPolyDP(ring[:, None], tolerance_px, closed=True).reshape(-1, 2)
    if len(simple) >= 3:
        return simple.astype(np.int32)
    (left, top), (right, bottom) = ring.min(axis=0), ring.max(axis=0)
    return np.array([[left, top], [left, bottom], [right, bottom], [right, top]], np.int32)


def join(rings: Sequence[Ring]) -> Ring:
    """Join rings into one. Each is connected to a ring further left by a line that is traversed both ways.

    Such a line encloses no area, so that the even-odd rule fills the same pixels as for separate rings.

    Args:
        rings: One or more rings.

    Returns:
        (k, 2): the corners of all rings, and two more for each ring after the first.
    """
    if len(rings) == 1:
        return rings[0]
    lengths = np.array([len(ring) for ring in rings])
    heads = np.cumsum(lengths) - lengths
    corners = np.concatenate(rings)
    starts = heads + [int(ring[:, 0].argmin()) for ring in rings]
    by_column = np.argsort(corners[:, 0], kind="stable")
    xs, ys = corners[by_column].T.astype(np.float64)  # float64 keeps the squares of distances exact
    following = _cyclic_next(heads, lengths).tolist()
    repeated: list[int] = []
    starts = starts[np.argsort(corners[starts, 0], kind="stable")]
    lefts = np.searchsorted(xs, corners[starts, 0]).tolist()  # number of corners further left
    root, *others = starts.tolist()
    for start, left, (x, y) in zip(others, lefts[1:], corners[starts[1:]].tolist(), strict=True):
        near = slice(max(left - _NEAR, 0), left)
        away = (xs[near] - x) ** 2 + (ys[near] - y) ** 2
        target = int(by_column[near][away.argmin()]) if left else root
        begin, end = len(following), len(following) + 1  # copies of the start and the target
        following += [following[start], following[target]]
        following[start], following[target] = end, begin
        repeated += [start, target]
    path = [root]
    while (corner := following[path[-1]]) != root:
        path.append(corner)
    joined: Ring = corners[np.concatenate([np.arange(len(corners)), np.array(repeated, np.intp)])[path]]
    return joined


def _around(borders: Sequence[NDArray[np.int32]]) -> list[Ring]:
    """The edges of the pixels that borders go through, all borders at once."""
    if not borders:
        return []
    lengths = np.array([len(border) for border in borders])
    pixels = np.concatenate(borders)
    after = _cyclic_next(np.cumsum(lengths) - lengths, lengths)
    before = np.empty_like(after)
    before[after] = np.arange(len(after))

    step = pixels[after] - pixels
    leaving = _DIRECTIONS[step[:, 1] + 1, step[:, 0] + 1]
    back = (leaving[before] + 4) & 7  # where the border came from
    sides = _SIDES[leaving, back]

    at = np.repeat(np.arange(len(pixels)), sides)  # the pixel of each side
    passed = np.arange(len(at)) - np.repeat(np.cumsum(sides) - sides, sides) + 1
    corner = (_FIRST[back][at] - 2 * passed) & 7  # at the end of the side; it gives the direction as well
    ring_of = np.repeat(np.arange(len(borders)), lengths)[at]
    lengths = np.bincount(ring_of, minlength=len(borders))
    after = _cyclic_next(np.cumsum(lengths) - lengths, lengths)
    turns = np.flatnonzero(corner[after] != corner)
    ends = np.cumsum(np.bincount(ring_of[turns], minlength=len(borders)))
    return np.split(pixels[at[turns]] + _CORNERS[corner[turns]], ends[:-1])


def _borders(mask: NDArray[np.bool_], mode: int, chain: int) -> tuple[list[NDArray[np.int32]], NDArray[np.int32]]:
    """Borders of parts and holes, (k, 2) xy, and per border the index of its part for a hole, -1 for a part."""
    if not mask.any():
        return [], np.empty(0, np.int32)
    borders, tree = cv2.findContours(mask.view(np.uint8), mode, chain)
    return [np.asarray(border[:, 0], np.int32) for border in borders], np.asarray(tree[0, :, 3], np.int32)


def _parts(rings: Sequence[Ring], parents: NDArray[np.int32]) -> list[list[Ring]]:
    parts: dict[int, list[Ring]] = {int(index): [] for index in np.flatnonzero(parents < 0)}
    holes: list[tuple[int, Ring]] = []
    for index, (ring, parent) in enumerate(zip(rings, parents.tolist(), strict=True)):
        if parent < 0:
            parts[index].append(ring)
        else:
            holes.append((parent, ring))
    for parent, ring in holes:
        parts[parent].append(ring)
    return list(parts.values())


def _cyclic_next(heads: NDArray[np.intp], lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each item of consecutive cycles, the index of the next item in its cycle."""
    after = np.arange(1, int(lengths.sum()) + 1)
    after[heads + lengths - 1] = heads
    return after
