"""Check box and point prompts, and convert them to pixels.

A box covers every pixel that it touches; a point lies in pixel (floor(x), floor(y)).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsam_trt.errors import OptionError, PromptError

OutsideName: TypeAlias = Literal["refuse", "ignore"]
"""What to do with regions outside the frame: `refuse` the frame with a `PromptError`, or `ignore` these regions."""


def check_outside(outside: str) -> None:
    """Check what to do with regions outside the frame.

    Raises:
        OptionError: It is unknown.
    """
    if outside not in ("refuse", "ignore"):
        raise OptionError("outside", "refuse or ignore", outside)


def check_boxes(boxes: ArrayLike | None) -> NDArray[np.float64]:
    """Return boxes as read-only (k, 4) float64 xyxy, px of the frame; None or an empty list: k = 0.

    Raises:
        PromptError: Wrong shape or type, a number that is not finite, or a box without area.
    """
    checked = _table(boxes, 4, "boxes", "[[x0, y0, x1, y1], ...]")
    flat = (checked[:, :2] >= checked[:, 2:]).any(axis=1)
    if flat.any():
        raise PromptError(
            f"box {_text(checked[flat][0])}: expected x0 < x1 and y0 < y1, found no area or a negative one; "
            "give left, top, right, bottom in px of the frame"
        )
    return checked


def check_points(points: ArrayLike | None) -> NDArray[np.float64]:
    """Return points as read-only (k, 2) float64 xy, px of the frame; None or an empty list: k = 0.

    Raises:
        PromptError: Wrong shape or type, or a number that is not finite.
    """
    return _table(points, 2, "points", "[[x, y], ...]")


def check_point_labels(labels: ArrayLike | None, points: int) -> NDArray[np.int32]:
    """Return point labels as read-only (k,) int32: 1 foreground, 0 background; None: all foreground.

    Raises:
        PromptError: There are more or fewer labels than points, or a label is neither 0 nor 1.
    """
    if labels is None:
        return _read_only(np.ones(points, np.int32))
    found = _numbers(labels, "point labels", "[1, 0, ...]")
    if found.ndim != 1:
        raise PromptError(f"point labels: expected a flat list such as [1, 0, ...], found shape {found.shape}")
    if len(found) != points:
        raise PromptError(
            f"point labels: expected one per point, found {len(found)} labels for {points} points; "
            "set both together with Pipeline.set_points(points, labels)"
        )
    unknown = ~np.isin(found, (0, 1))
    if unknown.any():
        raise PromptError(f"point labels: expected 1 (foreground) or 0 (background), found {found[unknown][0]:g}")
    return _read_only(found.astype(np.int32))


def box_pixels(
    boxes: NDArray[np.float64], height: int, width: int, outside: OutsideName = "refuse"
) -> NDArray[np.intp]:
    """Convert boxes to pixels, clipped to the frame: (k, 4) to (k, 4) whole px, x1 and y1 exclusive.

    Boxes that lie completely outside the frame of (height, width) px are left out if they are to be ignored.

    Raises:
        PromptError: A box lies completely outside the frame, and is not to be ignored.
    """
    pixels = outer_pixels(boxes, height, width)
    absent = (pixels[:, :2] >= pixels[:, 2:]).any(axis=1)
    if outside == "ignore":
        return pixels[~absent]
    if absent.any():
        raise PromptError(
            f"box {_text(boxes[absent][0])}: expected an overlap with the frame of {width} x {height} px, found none; "
            "give x0, y0, x1, y1 in px of the frame"
        )
    return pixels


def point_pixels(
    points: NDArray[np.float64], height: int, width: int, outside: OutsideName = "refuse"
) -> NDArray[np.intp]:
    """Convert points to pixels: (k, 2) to (k, 2) whole px, x and y.

    Points outside the frame of (height, width) px are left out if they are to be ignored.

    Raises:
        PromptError: A point lies outside the frame, and is not to be ignored.
    """
    absent = ((points < 0) | (points >= (width, height))).any(axis=1)
    if outside == "ignore":
        return points[~absent].astype(np.intp)
    if absent.any():
        raise PromptError(
            f"point {_text(points[absent][0])}: expected 0 <= x < {width} and 0 <= y < {height} in the frame of "
            f"{width} x {height} px, found a point outside it; give x, y in px of the frame"
        )
    return points.astype(np.intp)


def outer_pixels(boxes: NDArray[np.floating[Any]], height: int, width: int) -> NDArray[np.intp]:
    """Return all pixels that boxes touch, clipped to the frame: (n, 4) to (n, 4) whole px, x1 and y1 exclusive."""
    edges = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
    return edges.clip(0, (width, height, width, height)).astype(np.intp)


def _table(values: ArrayLike | None, columns: int, name: str, example: str) -> NDArray[np.float64]:
    numbers = _numbers([] if values is None else values, name, example)
    if numbers.size == 0 and numbers.shape in ((0,), (0, columns)):
        return _read_only(np.empty((0, columns)))
    if numbers.ndim != 2 or numbers.shape[1] != columns:
        raise PromptError(f"{name}: expected {example} of shape (k, {columns}), found shape {numbers.shape}")
    not_finite = ~np.isfinite(numbers).all(axis=1)
    if not_finite.any():
        raise PromptError(
            f"{name}: expected finite numbers, px of the frame, found {_text(numbers[not_finite][0])}; "
            "correct or remove it"
        )
    return _read_only(numbers)


def _numbers(values: ArrayLike, name: str, example: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):  # mostly rows of different lengths
        array = np.array(None)
    if array.size and array.dtype.kind not in "biuf":
        raise PromptError(f"{name}: expected numbers such as {example}, found {' '.join(repr(values).split())[:80]}")
    return np.array(array, np.float64)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Make an array read-only, so that it stays as it was checked."""
    array.flags.writeable = False
    return array


def _text(row: NDArray[np.float64]) -> str:
    return f"[{', '.join(f'{number:g}' for number in row)}]"
