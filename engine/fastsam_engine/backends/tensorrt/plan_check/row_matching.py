"""Compare end-to-end detections by their most similar rows, since near ties swap ranks or are cut off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.device_array import Array

_CLEAR = 0.5  # logits above the other side's lowest score: such a row can't have been cut off
_SAME_PX, _SAME_PART = 8.0, 0.1  # tolerance for the same box: px, or part of its longer side
_SAME_LOGIT = 1.0
_UNIT_PX, _UNIT_LOGIT = 4.0, 0.2  # px and logits of equal weight in the search for the most similar row
_OTHER_CLASS = 1e3
_LEAST = 3e-6  # above the difference of runtimes' exact and fast sigmoids
_REST = 1e-2  # near 1 half precision steps by 5e-4, bfloat16 by 4e-3


def clear_logits(scores: Array) -> NDArray[np.float32]:
    """Logits of scores in 0..1, flattened where rounding dominates. A factor of 0.5 shows at 0.01 as at 0.9."""
    clipped = np.asarray(scores, np.float32).clip(0, 1)
    return np.asarray(np.log(clipped + np.float32(_LEAST)) - np.log(1 - clipped + np.float32(_REST)))


def log_probabilities(logits: Array) -> NDArray[np.float32]:
    """Logarithms of the softmax over the last axis."""
    shifted = np.asarray(logits, np.float32) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def compare_rows(expected: NDArray[np.float32], found: NDArray[np.float32]) -> dict[str, float]:
    """The metrics of two results for one image.

    Args:
        expected, found: (k, 6 + c): box xyxy, px, score, class id, coefficients; k may differ.

    Returns:
        `box_px`: median over the rows, for the worst side of the box. `score_logit`: mean over ranks, so that swaps do
        not count. `coefficient`: relative to the root mean square. `missing_rows`: of a class's rows that are clearly
        above the other side's lowest score, the share that the other side lacks; for the worst class.
    """
    matched, missing = _match(expected, found)
    _, missing_there = _match(found, expected)
    pairs = expected[matched >= 0], found[matched[matched >= 0]]
    ranked = [np.sort(clear_logits(rows[:, 4])) for rows in (expected, found)]
    most = min(map(len, ranked))
    score = abs(ranked[0][-most:] - ranked[1][-most:]).mean() if most else 0.0
    metrics = {"score_logit": float(score), "missing_rows": max(missing, missing_there)}
    if len(pairs[0]):
        apart = abs(pairs[0] - pairs[1])
        scale = np.sqrt(np.square(expected[:, 6:]).mean(axis=0)) if expected.shape[1] > 6 else np.ones(0)
        off = np.sqrt(np.square(apart[:, 6:]).mean(axis=0)) / np.maximum(scale, 0.02 * scale.max(initial=1e-9))
        metrics["box_px"] = float(np.median(apart[:, :4], axis=0).max())
        metrics["coefficient"] = float(off.max(initial=0.0))
    return metrics


def _match(wanted: NDArray[np.float32], there: NDArray[np.float32]) -> tuple[NDArray[np.intp], float]:
    """Per wanted row the index of the most similar one, -1 if its class is absent; and the missing share."""
    if not len(wanted):
        return np.empty(0, np.intp), 0.0
    if not len(there):
        return np.full(len(wanted), -1), 1.0
    logits, others = clear_logits(wanted[:, 4]), clear_logits(there[:, 4])
    off_px = abs(wanted[:, None, :4] - there[:, :4]).max(axis=2)
    off_logit = abs(logits[:, None] - others)
    other_class = wanted[:, None, 5] != there[:, 5]
    coefficients = _distances(wanted[:, 6:], there[:, 6:])
    cost = off_px / _UNIT_PX + off_logit / _UNIT_LOGIT + coefficients + _OTHER_CLASS * other_class
    sides = (wanted[:, 2:4] - wanted[:, :2]).max(axis=1)
    same = (off_px <= np.maximum(_SAME_PX, _SAME_PART * sides)[:, None]) & (off_logit <= _SAME_LOGIT) & ~other_class
    clear = logits > others.min() + _CLEAR
    lacking = ~same.any(axis=1)
    shares = [lacking[clear & (wanted[:, 5] == each)].mean() for each in np.unique(wanted[clear, 5])]
    matched = np.where(other_class.all(axis=1) | (clear.any() & ~clear), -1, cost.argmin(axis=1))
    return matched, float(max(shares, default=lacking.all()))


def _distances(wanted: NDArray[np.float32], there: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distances between the coefficients of every two rows, relative to their root mean square length."""
    lengths, others = (np.square(rows).sum(axis=1) for rows in (wanted, there))
    squares = lengths[:, None] + others - 2 * wanted @ there.T
    return np.asarray(np.sqrt(squares.clip(0) / max(float(lengths.mean()), 1e-9)))
