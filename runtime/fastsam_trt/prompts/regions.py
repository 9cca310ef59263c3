"""Places: boxes and points of a frame as prompts, checked.

A box takes every pixel that it touches; a point lies in pixel (floor(x), floor(y)).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsam_trt.errors import PromptError


def check_boxes(boxes: ArrayLike | None) -> NDArray[np.float64]:
    """Boxes as a read-only (k, 4) float64 xyxy, px of the frame; None or nothing: k = 0.

    Raises:
        PromptError: Wrong shape or type, a number that is not finite, or a box without area.
    """
    checked = _table(boxes, 4, "boxes", "[[x0, y0, x1, y1], ...]")
    flat = (checked[:, :2] >= checked[:, 2:]).any(axis=1)
    if flat.any():
        raise PromptError(
            f"box {_shown(checked[flat][0])}: expected x0 < x1 and y0 < y1, found none or negative area; "
            "give left, top, right, bottom in px of the frame"
        )
    return checked


def check_points(points: ArrayLike | None) -> NDArray[np.float64]:
    """Points as a read-only (k, 2) float64 xy, px of the frame; None or nothing: k = 0.

    Raises:
        PromptError: Wrong shape or type, or a number that is not finite.
    """
    return _table(points, 2, "points", "[[x, y], ...]")


def check_point_labels(labels: ArrayLike | None, points: int) -> NDArray[np.int32]:
    """Labels of points as a read-only (k,) int32: 1 foreground, 0 background; None: all foreground.

    Raises:
        PromptError: Not one label a point, or a label other than 0 and 1.
    """
    if labels is None:
        return _frozen(np.ones(points, np.int32))
    found = _numbers(labels, "point labels", "[1, 0, ...]")
    if found.ndim != 1:
        raise PromptError(f"point labels: expected one row such as [1, 0, ...], found shape {found.shape}")
    if len(found) != points:
        raise PromptError(
            f"point labels: expected one a point, found {len(found)} labels for {points} points; "
            "set both together with Pipeline.set_points(points, labels)"
        )
    unknown = ~np.isin(found, (0, 1))
    if unknown.any():
        raise PromptError(f"point labels: expected 1 (foreground) or 0 (background), found {found[unknown][0]:g}")
    return _frozen(found.astype(np.int32))


def box_pixels(boxes: NDArray[np.float64], height: int, width: int) -> NDArray[np.intp]:
    """The pixels of boxes, cut at the frame: (k, 4) to (k, 4) whole px, x1 and y1 exclusive.

    Raises:
        PromptError: A box lies wholly outside the frame of (height, width) px.
    """
    pixels = outer_pixels(boxes, height, width)
    outside = (pixels[:, :2] >= pixels[:, 2:]).any(axis=1)
    if outside.any():
        raise PromptError(
            f"box {_shown(boxes[outside][0])}: expected it to meet the frame of {width} x {height} px, found it "
            "wholly outside; give x0, y0, x1, y1 in px of the frame"
        )
    return pixels


def point_pixels(points: NDArray[np.float64], height: int, width: int) -> NDArray[np.intp]:
    """The pixels of points: (k, 2) to (k, 2) whole px, x and y.

    Raises:
        PromptError: A point lies outside the frame of (height, width) px.
    """
    outside = ((points < 0) | (points >= (width, height))).any(axis=1)
    if outside.any():
        raise PromptError(
            f"point {_shown(points[outside][0])}: expected 0 <= x < {width} and 0 <= y < {height} in the frame of "
            f"{width} x {height} px, found it outside; give x, y in px of the frame"
        )
    return points.astype(np.intp)


def outer_pixels(boxes: NDArray[np.floating[Any]], height: int, width: int) -> NDArray[np.intp]:
    """All pixels that boxes touch, cut at the frame: (n, 4) to (n, 4) whole px, x1 and y1 exclusive."""
    edges = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
    return edges.clip(0, (width, height, width, height)).astype(np.intp)


def _table(values: ArrayLike | None, columns: int, name: str, example: str) -> NDArray[np.float64]:
    numbers = _numbers([] if values is None else values, name, example)
    if numbers.size == 0 and numbers.shape in ((0,), (0, columns)):
        return _frozen(np.empty((0, columns)))
    if numbers.ndim != 2 or numbers.shape[1] != columns:
        raise PromptError(f"{name}: expected {example} of shape (k, {columns}), found shape {numbers.shape}")
    endless = ~np.isfinite(numbers).all(axis=1)
    if endless.any():
        raise PromptError(
            f"{name}: expected finite numbers, px of the frame, found {_shown(numbers[endless][0])}; correct or drop it"
        )
    return _frozen(numbers)


def _numbers(values: ArrayLike, name: str, example: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):  # rows of different lengths, above all
        array = np.array(None)
    if array.size and array.dtype.kind not in "biuf":
        raise PromptError(f"{name}: expected numbers such as {example}, found {' '.join(repr(values).split())[:80]}")
    return np.array(array, np.float64)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The array, which nobody can change behind the checks any more."""
    array.flags.writeable = False
    return array


def _shown(row: NDArray[np.float64]) -> str:
    return f"[{', '.join(f'{number:g}' for number in row)}]"
