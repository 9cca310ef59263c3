"""Candidates: the anchors of a frame that can become segments, by their scores alone, before they have boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The n candidates of a frame.

    Attributes:
        anchors: (n,) their anchors; an anchor may occur with several classes.
        scores: (n,) float32 in 0..1.
        class_ids: (n,) int32.
    """

    anchors: NDArray[np.intp]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.anchors)

    @classmethod
    def joined(cls, a: Candidates, b: Candidates) -> Candidates:
        """The candidates of a, then those of b."""
        return cls(
            np.concatenate([a.anchors, b.anchors]),
            np.concatenate([a.scores, b.scores]),
            np.concatenate([a.class_ids, b.class_ids]),
        )

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Candidates:
        """The candidates at indices, or where a mask is True."""
        return Candidates(self.anchors[which], self.scores[which], self.class_ids[which])


def scores_of(logits: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Scores from logits: the sigmoid in fp32, also where the graph computes in less."""
    with np.errstate(over="ignore"):  # exp of a large number is inf, and the score 0
        return np.asarray(np.float32(1) / (np.float32(1) + np.exp(-logits.astype(np.float32))))


def above(logits: NDArray[np.float32], conf: float) -> NDArray[np.intp]:
    """Indices of the logits whose score is above a threshold, without a score for each of thousands."""
    with np.errstate(divide="ignore"):
        lowest = np.log(np.float64(conf)) - np.log1p(-np.float64(conf))
    near = np.flatnonzero(logits > lowest - 1e-3)
    return near[scores_of(logits[near]) > conf]
