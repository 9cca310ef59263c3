"""Scales of int8 weights: those that lose least, in place of the largest weight over 127."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST = 127
_STEPS = np.arange(32, 256)  # in the largest weight of a channel: beyond 127 it is clipped
_GAIN = 1e-6  # of the loss; a smaller one is rounding


def weight_scales(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scale of each output channel at which int8 loses least, as the mean of squares.

    Whole numbers of steps are tried in a channel's largest weight, so weights that lie on a grid already, as those of a
    model that was quantised before, keep it and lose nothing.

    Args:
        weights: (channels, ...).

    Returns:
        (channels,), all above 0.
    """
    rows = weights.reshape(len(weights), -1)
    largest = np.abs(rows).max(axis=1)
    largest[largest == 0] = 1
    scales = largest / np.float32(LARGEST)
    least = _lost(rows, scales)
    for steps in _STEPS:
        tried = largest / np.float32(steps)
        lost = _lost(rows, tried)
        better = lost < least * (1 - _GAIN)
        scales[better], least[better] = tried[better], lost[better]
    return np.asarray(scales, np.float32)


def _lost(rows: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    each = scales[:, None]
    rounded = np.clip(np.rint(rows / each), -LARGEST, LARGEST) * each
    return np.asarray(np.square(rounded - rows).sum(axis=1))
