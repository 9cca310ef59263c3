"""Outlines: the rings of pixel edges around a mask's parts and holes, and rings joined into one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Ring: TypeAlias = NDArray[np.int32]
"""(k, 2) int32 xy, the corners of a closed line; the last is joined to the first."""

# Directions are numbered clockwise on the screen: 0 east, 1 south-east, 2 south, and so on to 7 north-east.
_DIRECTIONS = np.array([[5, 6, 7], [4, -1, 0], [3, 2, 1]])  # [1 + dy, 1 + dx]
_NEAR = 4096  # how many corners a ring may be tied to, at most
_CORNERS = np.array([[0, 0], [1, 1], [0, 0], [0, 1], [0, 0], [0, 0], [0, 0], [1, 0]], np.int32)  # by direction, odd


def edge_rings(mask: NDArray[np.bool_], *, holes: bool = True) -> list[list[Ring]]:
    """Follow the edges of a mask's pixels: filled by the even-odd rule, the rings are the mask.

    OpenCV's borders go through the pixels of the rim, the background to their right. Going around each of those pixels
    from where the border comes in to where it goes on, on that side, follows the edges.

    Args:
        mask: (h, w) bool.
        holes: Whether to follow holes too. Without them there is no ring for what lies inside a hole either.

    Returns:
        A list for each part, parts that touch at a corner being one: its outer ring, then those of its holes, in
        pixel edges: (0, 0) to (w, h). Consecutive edges of a ring are at right angles.
    """
    borders, parents = _borders(mask, cv2.RETR_CCOMP if holes else cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not borders:
        return []
    lengths = np.array([len(border) for border in borders])
    pixels = np.concatenate(borders)
    heads = np.cumsum(lengths) - lengths
    after = _cyclic_next(heads, lengths)
    before = np.empty_like(after)
    before[after] = np.arange(len(after))

    step = pixels[after] - pixels
    leaving = _DIRECTIONS[step[:, 1] + 1, step[:, 0] + 1]
    back = (leaving[before] + 4) % 8  # where the border came from
    alone = leaving < 0  # a part of one pixel
    first = np.where(alone, 1, np.where(back % 2, back, back - 1))  # the corner that the border came in at
    last = np.where(alone, 1, np.where(leaving % 2, leaving, leaving + 1))
    sides = (first - last) % 8 // 2
    sides[alone | ((leaving == back) & (back % 2 == 1))] = 4  # all around

    at = np.repeat(np.arange(len(pixels)), sides)
    passed = np.arange(len(at)) - np.repeat(np.cumsum(sides) - sides, sides) + 1
    corners = pixels[at] + _CORNERS[(first[at] - 2 * passed) % 8]
    ring_of = np.repeat(np.arange(len(borders)), lengths)[at]
    lengths = np.bincount(ring_of, minlength=len(borders))
    after = _cyclic_next(np.cumsum(lengths) - lengths, lengths)
    forward = corners[after] - corners
    turns = np.empty(len(corners), np.bool_)
    turns[after] = (forward[after] != forward).any(axis=1)
    kept = np.bincount(ring_of[turns], minlength=len(borders))
    return _parts(np.split(corners[turns], np.cumsum(kept)[:-1]), parents)


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
    columns = corners[by_column, 0]
    following = _cyclic_next(heads, lengths).tolist()
    repeated: list[int] = []
    root, *others = starts[np.argsort(corners[starts, 0], kind="stable")].tolist()
    for start in others:
        x, y = corners[start].tolist()
        further_left = by_column[max(int(np.searchsorted(columns, x)) - _NEAR, 0) : np.searchsorted(columns, x)]
        away = np.hypot(corners[further_left, 0] - x, corners[further_left, 1] - y)
        target = int(further_left[away.argmin()]) if len(away) else root
        begin, end = len(following), len(following) + 1  # the start again, and the target again
        following += [following[start], following[target]]
        following[start], following[target] = end, begin
        repeated += [start, target]
    path = [root]
    while (corner := following[path[-1]]) != root:
        path.append(corner)
    joined: Ring = corners[np.concatenate([np.arange(len(corners)), np.array(repeated, np.intp)])[path]]
    return joined


def _borders(mask: NDArray[np.bool_], mode: int, chain: int) -> tuple[list[NDArray[np.int32]], NDArray[np.int32]]:
    """Borders of parts and holes, (k, 2) xy each, and for each hole the index of its part, else -1."""
    if not mask.any():
        return [], np.empty(0, np.int32)
    borders, tree = cv2.findContours(mask.view(np.uint8), mode, chain)
    return [np.asarray(border[:, 0], np.int32) for border in borders], np.asarray(tree[0, :, 3], np.int32)


def _parts(rings: Iterable[Ring], parents: NDArray[np.int32]) -> list[list[Ring]]:
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
