"""Crops: the part of a frame around a segment that CLIP looks at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.model_spec import ImageInput
from fastsam_trt.resample import resize_shortest_edge


def square_windows(boxes: NDArray[np.float32], height: int, width: int) -> NDArray[np.intp]:
    """Grow boxes to squares, so that CLIP's cut to the middle loses nothing of the segment.

    Args:
        boxes: (n, 4) float32 xyxy, px of the frame.
        height, width: Size of the frame, px.

    Returns:
        (n, 4) xyxy, whole px, inside the frame, at least 1 px a side. A square is moved into the frame where it fits
        and cut off where it does not.
    """
    limits = np.array([width, height], np.float64)
    sides = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=1), 1)[:, None]
    lengths = np.minimum(sides, limits)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    low = np.clip(centres - lengths / 2, 0, limits - lengths)
    first = np.minimum(np.rint(low), limits - 1)
    last = np.clip(np.rint(low + lengths), first + 1, limits)
    return np.concatenate([first, last], axis=1).astype(np.intp)


def clip_batch(frame: NDArray[np.uint8], windows: NDArray[np.intp], image: ImageInput) -> NDArray[np.float32]:
    """Cut windows out of a frame and make CLIP's input of them.

    Args:
        frame: (H, W, 3) uint8 BGR.
        windows: (n, 4) xyxy, whole px, inside the frame.
        image: CLIP's image input.

    Returns:
        (n, 3, h, w) float32, normalised, in the model's colour order.
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
    return batch
