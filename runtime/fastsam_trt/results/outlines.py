"""Outlines: the rings of pixel edges around a mask's parts and holes, and rings joined into one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Ring: TypeAlias = NDArray[np.int32]
"""(k, 2) int32 xy, the corners of a closed line; the last is joined to the first."""

# Directions are numbered clockwise on the screen: 0 east, 1 south-east, 2 south, and so on to 7 north-east.
_DIRECTIONS = np.array([[5, 6, 7], [4, 8, 0], [3, 2, 1]], np.int8)  # [1 + dy, 1 + dx]; 8: a part of one pixel
_CORNERS = np.array([[0, 0], [1, 1], [0, 0], [0, 1], [0, 0], [0, 0], [0, 0], [1, 0]], np.int32)  # of odd directions
_FIRST = np.array([7, 1, 1, 3, 3, 5, 5, 7], np.int8)  # the corner where a border enters a pixel, by its side
_NEAR = 4096  # how many corners a ring may be tied to, at most


def _count_sides() -> NDArray[np.int64]:
    """How many sides of a pixel a border passes: (9, 8) by where it goes on to and where it came from."""
    sides = np.full((9, 8), 4)  # all around
    for leaving in range(8):
        for back in range(8):
            if leaving != back or back % 2 == 0:
                sides[leaving, back] = (_FIRST[back] - (leaving if leaving % 2 else leaving + 1)) % 8 // 2
    return sides.astype(np.int64)


_SIDES = _count_sides()


def edge_rings(masks: Sequence[NDArray[np.bool_]], *, holes: bool = True) -> list[list[list[Ring]]]:
    """Follow the edges of masks' pixels: filled by the even-odd rule, the rings of a mask are the mask.

    OpenCV's borders go through the pixels of the rim, the background to their right. Going around each of those pixels
    from where the border comes in to where it goes on, on that side, follows the edges.

    Args:
        masks: n masks (h, w) bool.
        holes: Whether to follow holes too. Without them there is no ring for what lies inside a hole either.

    Returns:
        For each mask a list for each part, parts that touch at a corner being one: its outer ring, then those of its
        holes, in pixel edges: (0, 0) to (w, h). Consecutive edges of a ring are at right angles.
    """
    mode = cv2.RETR_CCOMP if holes else cv2.RETR_EXTERNAL
    found = [_borders(mask, mode, cv2.CHAIN_APPROX_NONE) for mask in masks]
    rings = iter(_around([border for borders, _ in found for border in borders]))
    return [_parts(list(islice(rings, len(parents))), parents) for _, parents in found]


def centre_rings(mask: NDArray[np.bool_]) -> list[list[Ring]]:
    """Lines through the pixels of a mask's rim: what `cv2.fillPoly` fills, and draws, back to the mask.

    Args:
        mask: (h, w) bool.

    Returns:
        A list for each part, as `edge_rings` has it, of pixels by column and row; a ring may have one or two corners.
    """
    return _parts(*_borders(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE))


def simplify(ring: Ring, tolerance_px: float) -> Ring:
    """Leave corners out (Douglas and Peucker, `cv2.approxPolyDP`).

    Args:
        ring: (k, 2) with k of 3 or more.
        tolerance_px: How far the ring may move.

    Returns:
        (k, 2) with k of 3 or more: what would collapse becomes the box around the ring.
    """
    simple = cv2.approxPolyDP(ring[:, None], tolerance_px, closed=True).reshape(-1, 2)
    if len(simple) >= 3:
        return simple.astype(np.int32)
    (left, top), (right, bottom) = ring.min(axis=0), ring.max(axis=0)
    return np.array([[left, top], [left, bottom], [right, bottom], [right, top]], np.int32)


def join(rings: Sequence[Ring]) -> Ring:
    """Make one ring of several, each tied to one further left by a line there and back between two corners.

    A line that is passed twice encloses nothing, so the even-odd rule fills the same as for the rings apart.

    Args:
        rings: One or more.

    Returns:
        (k, 2): the corners of all, and two more for each ring after the first.
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
    lefts = np.searchsorted(xs, corners[starts, 0]).tolist()  # how many corners lie further left
    root, *others = starts.tolist()
    for start, left, (x, y) in zip(others, lefts[1:], corners[starts[1:]].tolist(), strict=True):
        near = slice(max(left - _NEAR, 0), left)
        away = (xs[near] - x) ** 2 + (ys[near] - y) ** 2
        target = int(by_column[near][away.argmin()]) if left else root
        begin, end = len(following), len(following) + 1  # the start again, and the target again
        following += [following[start], following[target]]
        following[start], following[target] = end, begin
        repeated += [start, target]
    path = [root]
    while (corner := following[path[-1]]) != root:
        path.append(corner)
    joined: Ring = corners[np.concatenate([np.arange(len(corners)), np.array(repeated, np.intp)])[path]]
    return joined


def _around(borders: Sequence[NDArray[np.int32]]) -> list[Ring]:
    """The edges of pixels along borders that go through the pixels, all borders at once."""
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

    at = np.repeat(np.arange(len(pixels)), sides)  # for each side that is passed, the pixel
    passed = np.arange(len(at)) - np.repeat(np.cumsum(sides) - sides, sides) + 1
    corner = (_FIRST[back][at] - 2 * passed) & 7  # at its end, which gives its direction too
    ring_of = np.repeat(np.arange(len(borders)), lengths)[at]
    lengths = np.bincount(ring_of, minlength=len(borders))
    after = _cyclic_next(np.cumsum(lengths) - lengths, lengths)
    turns = np.flatnonzero(corner[after] != corner)
    ends = np.cumsum(np.bincount(ring_of[turns], minlength=len(borders)))
    return np.split(pixels[at[turns]] + _CORNERS[corner[turns]], ends[:-1])


def _borders(mask: NDArray[np.bool_], mode: int, chain: int) -> tuple[list[NDArray[np.int32]], NDArray[np.int32]]:
    """Borders of parts and holes, (k, 2) xy each, and for each hole the index of its part, else -1."""
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
    """For each item of cycles that lie one after the other, the index of the next in its cycle."""
    after = np.arange(1, int(lengths.sum()) + 1)
    after[heads + lengths - 1] = heads
    return after
