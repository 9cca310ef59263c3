"""Scales of int8 weights that minimise the rounding error, instead of the largest weight / 127."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST = 127
_STEPS = np.arange(32, 256)  # candidates: steps in the largest weight of a channel, which is clipped beyond 127
_GAIN = 1e-6  # relative gain that counts; a smaller one is numerical noise


def weight_scales(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scale of each output channel with the smallest mean squared rounding error.

    Candidates divide the largest weight of the channel into a whole number of steps. Weights that are on a grid
    already, such as those of a model that was quantised before, therefore keep their grid and lose nothing.

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
