"""Appearance descriptors: the colours inside a box on a coarse grid, and the distance between two of them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

GRID = 6
"""Cells per side of a descriptor."""
CELLS = GRID * GRID
CHANNELS = 3

_SAMPLES_PER_CELL_SIDE = 4  # a fixed number of samples, so that a large box costs no more than a small one
_MAX_REMAP_ROWS, _MAX_SIDE_PX = 30_000, 32_000  # OpenCV's remap takes at most 32,767 of either
_NOISE_LEVELS = 16.0  # added to grey levels before the logarithm, since differences in the dark are noise
# Weights of brightness and colour in a distance: half as bright is 0.35, grey against beige 0.4, red against blue 6.
_BRIGHTNESS_WEIGHT, _COLOUR_WEIGHT = 0.5, 2.0
_MIN_EXPOSURE_LOG = 0.02  # a smaller change of exposure isn't worth the second comparison

# BGR to brightness, red against green, yellow against blue, and the sum of the channels.
_OPPONENT_COLOURS = np.array(
    [
        [0.114, 0, -3 * _COLOUR_WEIGHT, 1],
        [0.587, -3 * _COLOUR_WEIGHT, 1.5 * _COLOUR_WEIGHT, 1],
        [0.299, 3 * _COLOUR_WEIGHT, 1.5 * _COLOUR_WEIGHT, 1],
    ],
    np.float32,
)
_OPPONENT_OFFSETS = np.array([_NOISE_LEVELS, 0, 0, 3 * _NOISE_LEVELS], np.float32)


def describe_boxes(frame: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the appearance descriptors of boxes: mean colours on a grid of 6 x 6 cells.

    Args:
        frame: (H, W, 3) uint8 BGR.
        boxes: (n, 4) float32 xyxy, px of the frame; parts outside it repeat the nearest edge.

    Returns:
        (n, 36, 3) float32 BGR, grey levels 0..255.
    """
    step = -(-max(frame.shape[:2]) // _MAX_SIDE_PX)
    if step > 1:
        frame, boxes = np.ascontiguousarray(frame[::step, ::step]), boxes / np.float32(step)
    boxes = np.nan_to_num(boxes, posinf=0, neginf=0).astype(np.float32)
    side = GRID * _SAMPLES_PER_CELL_SIDE
    offsets = ((np.arange(side) + 0.5) / side).astype(np.float32)
    corners, sides = boxes[:, :2] - np.float32(0.5), boxes[:, 2:] - boxes[:, :2]
    columns, rows = (corners[:, i, None] + sides[:, i, None] * offsets for i in range(2))
    chunk = _MAX_REMAP_ROWS // side
    parts = [_sample(frame, columns[i : i + chunk], rows[i : i + chunk]) for i in range(0, len(boxes), chunk)]
    return np.concatenate(parts) if parts else np.empty((0, CELLS, CHANNELS), np.float32)


def descriptor_distances(
    before: NDArray[np.float32], after: NDArray[np.float32], exposure_log: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Compute how far apart the cells of descriptors are.

    The distance is Euclidean in three coordinates: the logarithm of the brightness, and two opponent colours (red
    against green, yellow against blue) as parts of the brightness.

    Args:
        before: (..., n, 36, 3) float32 BGR.
        after: (n, 36, 3) float32 BGR, compared with all of `before`.
        exposure_log: (..., n, 3) float32: how much `ExposureEstimator.total_log` grew in between. The distance is the
            smaller of those with and without it, because an object's light may or may not follow its surroundings.

    Returns:
        (..., n, 36) float32, from 0.
    """
    now = _to_opponent(after)
    squared = _squared_lengths(_to_opponent(before) - now)
    if float(np.abs(exposure_log).max(initial=0)) > _MIN_EXPOSURE_LOG:
        exposed = np.minimum(before * np.exp(exposure_log)[..., None, :], 255)
        squared = np.minimum(squared, _squared_lengths(_to_opponent(exposed) - now))
    return np.asarray(np.sqrt(squared), np.float32)


def _sample(frame: NDArray[np.uint8], columns: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average (n, s) columns and (n, s) rows of samples per cell: (n, 36, 3) float32 BGR of n boxes."""
    boxes, side = columns.shape
    xs = np.repeat(columns[:, None], side, axis=1).reshape(-1, side)
    ys = np.repeat(rows[:, :, None], side, axis=2).reshape(-1, side)
    samples = cv2.remap(frame, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    means = cv2.resize(samples, (GRID, boxes * GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32).reshape(boxes, CELLS, CHANNELS)


def _to_opponent(bgr: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert (..., 3) BGR to brightness, red against green, and yellow against blue: (..., 3) float32."""
    mixed = bgr.reshape(-1, CHANNELS) @ _OPPONENT_COLOURS
    mixed += _OPPONENT_OFFSETS
    opponent = np.empty((len(mixed), 3), np.float32)
    np.log(mixed[:, 0], out=opponent[:, 0])
    opponent[:, 0] *= _BRIGHTNESS_WEIGHT
    np.divide(mixed[:, 1:3], mixed[:, 3:], out=opponent[:, 1:])
    return opponent.reshape(bgr.shape)


def _squared_lengths(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("...i,...i->...", vectors, vectors))
