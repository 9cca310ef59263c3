"""Scores as logits, so that a factor of 0.5 is as visible on a score of 0.01 as on 0.9."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.device_array import Array

_LEAST = 3e-6  # above what the exact and fast sigmoids of runtimes disagree on
_REST = 1e-2  # near 1 half precision steps by 5e-4, bfloat16 by 4e-3


def clear_logits(scores: Array) -> NDArray[np.float32]:
    """Logits of scores in 0..1, which level off where rounding decides."""
    clipped = np.asarray(scores, np.float32).clip(0, 1)
    return np.asarray(np.log(clipped + np.float32(_LEAST)) - np.log(1 - clipped + np.float32(_REST)))


def log_probabilities(logits: Array) -> NDArray[np.float32]:
    """Logarithms of the softmax over the last axis."""
    shifted = np.asarray(logits, np.float32) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
