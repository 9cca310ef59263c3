"""Crops: cut the surroundings of segments out of a frame as input for CLIP."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt.frames.antialiased_resize import AntialiasedResize

_BICUBIC_SHRINK = 3.0  # of a shrink by more than twice this, fast averaging does the rest first


def square_windows(boxes: NDArray[np.float32], height: int, width: int) -> NDArray[np.intp]:
    """Grow boxes to squares, so that CLIP's centre crop cuts off no part of a segment.

    Args:
        boxes: (n, 4) float32 xyxy, px of the frame.
        height, width: Size of the frame, px.

    Returns:
        (n, 4) xyxy, whole px, inside the frame, with sides of at least 1 px. A square is moved into the frame if it
        fits, and cut off if it does not.
    """
    limits = np.array([width, height], np.float64)
    sides = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=1), 1)[:, None]
    lengths = np.minimum(sides, limits)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    low = np.clip(centres - lengths / 2, 0, limits - lengths)
    first = np.minimum(np.rint(low), limits - 1)
    last = np.clip(np.rint(low + lengths), first + 1, limits)
    return np.concatenate([first, last], axis=1).astype(np.intp)


def centre_square(window: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the largest centred square inside a window: (4,) xyxy px to (4,) xyxy px."""
    low, high = window[:2].astype(np.float64), window[2:].astype(np.float64)
    side = (high - low).min()
    corner = low + (high - low - side) / 2
    return np.concatenate([corner, corner + side])


def clip_batch(
    frame: NDArray[np.uint8],
    windows: NDArray[np.intp],
    image: ImageInput,
    masks: Sequence[NDArray[np.bool_]] | None = None,
) -> NDArray[np.float32]:
    """Cut windows out of a frame and preprocess them for CLIP.

    Args:
        frame: (H, W, 3) uint8 BGR.
        windows: (n, 4) xyxy, whole px, inside the frame.
        image: CLIP's image input.
        masks: Per window (h, w) bool over its centre square; pixels that are False get the model's mean colour.

    Returns:
        (n, 3, h, w) float32, normalised, channels in the model's colour order.
    """
    batch = np.empty((len(windows), 3, image.height, image.width), np.float32)
    mean = np.asarray(image.mean, np.float32)[:, None, None]
    std = np.asarray(image.std, np.float32)[:, None, None]
    for crop, (x0, y0, x1, y1) in zip(batch, windows.tolist(), strict=True):
        planes = resize_shortest_edge(frame[y0:y1, x0:x1], image.height)
        crop[:] = planes[::-1] if image.colour == "RGB" else planes
    batch *= np.float32(image.scale)
    batch -= mean
    batch /= std
    for crop, mask in zip(batch, masks or [], strict=masks is not None):
        crop[:, ~mask] = 0
    return batch


def resize_shortest_edge(image: NDArray[np.uint8], size_px: int) -> NDArray[np.float32]:
    """Scale the shorter side of an image to a size and crop the centre, as CLIP's image processor does.

    The scaling is bicubic with antialiasing.

    Args:
        image: (h, w, c) uint8.
        size_px: Side of the result.

    Returns:
        (c, size_px, size_px) float32, whole numbers 0..255, channels in the order of the image.
    """
    height, width = image.shape[:2]
    rows, columns = size_px, size_px
    if height <= width:
        columns = int(size_px * width / height)
    else:
        rows = int(size_px * height / width)
    image = _average(image, size_px)
    return AntialiasedResize("bicubic", image.shape[:2], (rows, columns), (size_px, size_px)).resize(image)


def _average(image: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Average a very large image to a size from which bicubic scaling shrinks it by `_BICUBIC_SHRINK`."""
    height, width = image.shape[:2]
    factor = min(height, width) / size_px / _BICUBIC_SHRINK
    if factor <= 2:
        return image
    smaller = (round(width / factor), round(height / factor))
    return np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), np.uint8)
