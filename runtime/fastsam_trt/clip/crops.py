"""Crops: cut the surroundings of segments out of a frame as input for CLIP."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import ImageInput, Interpolation
from fastsam_trt.frames.antialiased_resize import AntialiasedResize

_KERNEL_SHRINK = 3.0  # of a shrink by more than twice this, fast averaging does the rest first


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


def seen_part(window: NDArray[np.intp], image: ImageInput) -> NDArray[np.float64]:
    """The part of a window that CLIP sees, (4,) xyxy px: all of it if it is stretched, its centre square if not."""
    return window.astype(np.float64) if image.resize == "stretch" else centre_square(window)


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
        masks: Per window (h, w) bool over its `seen_part`; pixels that are False get the model's mean colour.

    Returns:
        (n, 3, h, w) float32, normalised, channels in the model's colour order.
    """
    batch = np.empty((len(windows), 3, image.height, image.width), np.float32)
    mean = np.asarray(image.mean, np.float32)[:, None, None]
    std = np.asarray(image.std, np.float32)[:, None, None]
    for crop, (x0, y0, x1, y1) in zip(batch, windows.tolist(), strict=True):
        planes = resized(frame[y0:y1, x0:x1], image)
        crop[:] = planes[::-1] if image.colour == "RGB" else planes
    batch *= np.float32(image.scale)
    batch -= mean
    batch /= std
    for crop, mask in zip(batch, masks or [], strict=masks is not None):
        crop[:, ~mask] = 0
    return batch


def resized(picture: NDArray[np.uint8], image: ImageInput) -> NDArray[np.float32]:
    """Resize a picture as the image processor of CLIP or SigLIP does, with antialiasing.

    Args:
        picture: (h, w, c) uint8.
        image: The model's input, whose `resize` is `shortest-edge` or `stretch`.

    Returns:
        (c, height, width) float32, whole numbers 0..255, channels in the order of the picture.
    """
    size = image.height, image.width
    if image.resize != "stretch":
        return resize_shortest_edge(picture, image.height, image.interpolation)
    averaged = _average(picture, size)
    return AntialiasedResize(image.interpolation, averaged.shape[:2], size).resize(averaged)


def resize_shortest_edge(
    image: NDArray[np.uint8], size_px: int, interpolation: Interpolation = "bicubic"
) -> NDArray[np.float32]:
    """Scale the shorter side of an image to a size and crop the centre, as CLIP's image processor does.

    Args:
        image: (h, w, c) uint8.
        size_px: Side of the result.
        interpolation: Kernel, with antialiasing.

    Returns:
        (c, size_px, size_px) float32, whole numbers 0..255, channels in the order of the image.
    """
    height, width = image.shape[:2]
    rows, columns = size_px, size_px
    if height <= width:
        columns = int(size_px * width / height)
    else:
        rows = int(size_px * height / width)
    image = _average(image, (rows, columns))
    return AntialiasedResize(interpolation, image.shape[:2], (rows, columns), (size_px, size_px)).resize(image)


def _average(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Average each side of a very large image to a length from which the kernel shrinks it by `_KERNEL_SHRINK`."""
    sides = tuple(
        round(length * _KERNEL_SHRINK) if before > 2 * _KERNEL_SHRINK * length else before
        for before, length in zip(image.shape[:2], size, strict=True)
    )
    if sides == image.shape[:2]:
        return image
    return np.asarray(cv2.resize(image, sides[::-1], interpolation=cv2.INTER_AREA), np.uint8)
