"""Signatures: what the pixels of a box look like, in few numbers, to notice that an object changed its look."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

GRID = 6
CELLS = GRID * GRID
CHANNELS = 3

_SAMPLES = 4  # a cell's side is so many samples: a few hundred a box, whatever its size
_MOST_ROWS, _MOST_SIDE_PX = 30_000, 32_000  # OpenCV's remap takes no more than 32,767
_DARK = 16.0  # grey levels whose differences are noise
_LIGHT, _CHROMA = 0.5, 2.0  # half as bright is 0.35, beige instead of grey 0.4, red instead of blue 6
_LEAST_EXPOSURE = 0.02  # in logarithms: less is not worth its time
_LIT = 32, 18  # columns and rows in which exposure is measured
_CLIPPED = 8, 247  # grey levels outside which it can't be measured
_LEAST_USABLE = 0.3  # of a frame: less says nothing of the whole
_ALIKE = 0.15  # logarithms by which two parts of a frame may differ that changed alike
_ALIKE_SHARE = 0.7  # of a frame that changed alike: its exposure changed, not what it shows
_MOST_TINT = 0.25  # of one channel against the others: more is no white balance, but other colours


def sign(frame: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The signatures of boxes: the mean colours of a grid of 6 x 6 cells.

    Args:
        frame: (H, W, 3) uint8 BGR.
        boxes: (n, 4) float32 xyxy, px of it; what lies outside shows the nearest edge.

    Returns:
        (n, 36, 3) float32 BGR.
    """
    step = -(-max(frame.shape[:2]) // _MOST_SIDE_PX)
    if step > 1:
        frame, boxes = np.ascontiguousarray(frame[::step, ::step]), boxes / np.float32(step)
    boxes = np.nan_to_num(boxes, posinf=0, neginf=0).astype(np.float32)
    side = GRID * _SAMPLES
    at = ((np.arange(side) + 0.5) / side).astype(np.float32)
    corners, sides = boxes[:, :2] - np.float32(0.5), boxes[:, 2:] - boxes[:, :2]
    columns, rows = (corners[:, i, None] + sides[:, i, None] * at for i in range(2))
    most = _MOST_ROWS // side
    parts = [_sample(frame, columns[i : i + most], rows[i : i + most]) for i in range(0, len(boxes), most)]
    return np.concatenate(parts) if parts else np.empty((0, CELLS, CHANNELS), np.float32)


def distances(
    before: NDArray[np.float32], after: NDArray[np.float32], exposure: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How far apart the cells of signatures look.

    Light counts by its logarithm, and two opponent colours (red and green, yellow and blue) as parts of the light.

    Args:
        before, after: (n, 36, 3) BGR.
        exposure: (n, 3) what `Exposure.total` has grown by in between; the smaller distance counts of that with and
            that without it, because an object's light may follow that of its surroundings or not.

    Returns:
        (n, 36) float32, from 0.
    """
    now = _oppose(after)
    apart = ((_oppose(before) - now) ** 2).sum(axis=0)
    if float(np.abs(exposure).max(initial=0)) > _LEAST_EXPOSURE:
        exposed = np.minimum(before * np.exp(exposure)[:, None], 255)
        apart = np.minimum(apart, ((_oppose(exposed) - now) ** 2).sum(axis=0))
    return np.asarray(np.sqrt(apart), np.float32)


class Exposure:
    """What exposure and white balance have added to the light of a stream, frame by frame.

    A camera that adjusts itself changes the whole frame alike; an object that is switched off, or a part of the scene
    that moves, does not.

    Attributes:
        total: (3,) float32 BGR, the sum since the first frame, in logarithms.
    """

    def __init__(self) -> None:
        self.total = np.zeros(CHANNELS, np.float32)
        self._last: NDArray[np.float32] | None = None

    def follow(self, frame: NDArray[np.uint8]) -> None:
        """Go on to the next frame: (H, W, 3) uint8 BGR."""
        sampled = cv2.resize(frame, (2 * _LIT[0], 2 * _LIT[1]), interpolation=cv2.INTER_LINEAR)
        small = np.asarray(cv2.resize(sampled, _LIT, interpolation=cv2.INTER_AREA)).reshape(-1, CHANNELS)
        darkest, brightest = _CLIPPED
        usable = (small.min(axis=1) >= darkest) & (small.max(axis=1) <= brightest)
        light = np.log(np.maximum(small, 1).astype(np.float32))
        light[~usable] = np.nan
        last, self._last = self._last, light
        if last is None:
            return
        change: NDArray[np.float32] = light - last
        change = change[np.isfinite(change[:, 0])]
        if len(change) < _LEAST_USABLE * len(light):
            return
        middle = np.median(change, axis=0).astype(np.float32)
        alike = float((np.abs(change - middle).max(axis=1) < _ALIKE).mean())
        if alike >= _ALIKE_SHARE and float(np.abs(middle - middle.mean()).max()) <= _MOST_TINT:
            self.total += middle


def _sample(frame: NDArray[np.uint8], columns: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean BGR of each cell of n boxes, from (n, s) columns and (n, s) rows of samples: (n, 36, 3) float32."""
    boxes, side = columns.shape
    xs = np.repeat(columns[:, None], side, axis=1).reshape(-1, side)
    ys = np.repeat(rows[:, :, None], side, axis=2).reshape(-1, side)
    samples = cv2.remap(frame, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    means = cv2.resize(samples, (GRID, boxes * GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32).reshape(boxes, CELLS, CHANNELS)


def _oppose(bgr: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 3) BGR to light, red against green, and yellow against blue: (3, ...) float32."""
    blue, green, red = np.moveaxis(bgr, -1, 0)
    light = np.log(0.114 * blue + 0.587 * green + 0.299 * red + _DARK)
    whole = red + green + blue + 3 * _DARK
    return np.stack(
        [_LIGHT * light, 3 * _CHROMA * (red - green) / whole, 1.5 * _CHROMA * (red + green - 2 * blue) / whole]
    )
