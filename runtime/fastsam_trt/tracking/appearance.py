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

_LOGARITHMS = np.log(np.maximum(np.arange(256), 1)).astype(np.float32)
_MIXTURES = np.array(  # of BGR: light, red against green, yellow against blue, and all three
    [[0.114, 0, -3 * _CHROMA, 1], [0.587, -3 * _CHROMA, 1.5 * _CHROMA, 1], [0.299, 3 * _CHROMA, 1.5 * _CHROMA, 1]],
    np.float32,
)
_DARKNESS = np.array([_DARK, 0, 0, 3 * _DARK], np.float32)


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
        before: (..., n, 36, 3) BGR.
        after: (n, 36, 3) BGR, that all of them are compared with.
        exposure: (..., n, 3) what `Exposure.total` has grown by in between; the smaller distance counts of that with
            and that without it, because an object's light may follow that of its surroundings or not.

    Returns:
        (..., n, 36) float32, from 0.
    """
    now = _oppose(after)
    apart = _squared(_oppose(before) - now)
    if float(np.abs(exposure).max(initial=0)) > _LEAST_EXPOSURE:
        exposed = np.minimum(before * np.exp(exposure)[..., None, :], 255)
        apart = np.minimum(apart, _squared(_oppose(exposed) - now))
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
        self._last: tuple[NDArray[np.float32], NDArray[np.bool_]] | None = (
            None  # logarithms, and where they can be used
        )

    def follow(self, frame: NDArray[np.uint8]) -> None:
        """Go on to the next frame: (H, W, 3) uint8 BGR."""
        sampled = cv2.resize(frame, (2 * _LIT[0], 2 * _LIT[1]), interpolation=cv2.INTER_LINEAR)
        small = np.stack(cv2.split(cv2.resize(sampled, _LIT, interpolation=cv2.INTER_AREA))).reshape(CHANNELS, -1)
        darkest, brightest = _CLIPPED
        usable = (small.min(axis=0) >= darkest) & (small.max(axis=0) <= brightest)
        light = _LOGARITHMS[small]
        last, self._last = self._last, (light, usable)
        if last is None:
            return
        both = np.flatnonzero(usable & last[1])
        if len(both) < _LEAST_USABLE * len(usable):
            return
        change = light[:, both] - last[0][:, both]  # (3, k)
        middle = np.partition(change, len(both) // 2, axis=1)[:, len(both) // 2]
        alike = float((np.abs(change - middle[:, None]).max(axis=0) < _ALIKE).mean())
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
    """(..., 3) BGR to light, red against green, and yellow against blue: (..., 3) float32."""
    mixed = bgr.reshape(-1, CHANNELS) @ _MIXTURES
    mixed += _DARKNESS
    opposed = np.empty((len(mixed), 3), np.float32)
    np.log(mixed[:, 0], out=opposed[:, 0])
    opposed[:, 0] *= _LIGHT
    np.divide(mixed[:, 1:3], mixed[:, 3:], out=opposed[:, 1:])
    return opposed.reshape(bgr.shape)


def _squared(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared lengths of (..., 3) vectors."""
    return np.asarray(np.einsum("...i,...i->...", vectors, vectors))
