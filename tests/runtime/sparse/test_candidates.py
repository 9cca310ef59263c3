"""Scores and distances are those of the dense graph."""

from __future__ import annotations

import numpy as np
import pytest

from fastsam_trt.sparse.box_head import distances
from fastsam_trt.sparse.candidates import Candidates, above, scores_of


@pytest.mark.parametrize("conf", [0.0, 1e-6, 0.25, 0.5, 0.999, 1.0])
def test_above_is_the_threshold_on_scores(conf: float) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 4, 5000).astype(np.float32)
    logits[:3] = [-200, 200, np.log(0.25 / 0.75)]
    assert np.array_equal(above(logits, conf), np.flatnonzero(scores_of(logits) > conf))


def test_scores_are_fp32_sigmoids() -> None:
    logits = np.array([-1000, -5, 0, 5, 1000], np.float16)
    scores = scores_of(logits)
    assert scores.dtype == np.float32
    assert scores == pytest.approx([0, 0.0066929, 0.5, 0.9933071, 1], abs=1e-6)


def test_distances_are_means_of_distributions() -> None:
    generator = np.random.default_rng(1)
    raw = generator.normal(0, 3, (7, 64)).astype(np.float32)
    powers = np.exp(raw.astype(np.float64)).reshape(7, 4, 16)
    expected = (powers * np.arange(16)).sum(axis=2) / powers.sum(axis=2)
    assert distances(raw) == pytest.approx(expected, abs=1e-5)
    assert distances(raw).dtype == np.float32


def test_one_bin_is_the_distance_itself() -> None:
    raw = np.array([[1, -2, 3, 4]], np.float32)
    assert np.array_equal(distances(raw), raw)


def test_candidates_are_taken_and_joined() -> None:
    both = Candidates(np.array([4, 7, 9]), np.array([0.5, 0.6, 0.7], np.float32), np.array([0, 1, 0], np.int32))
    joined = Candidates.joined(both.take(both.class_ids == 1), both.take(np.array([2, 0])))
    assert joined.anchors.tolist() == [7, 9, 4]
    assert joined.class_ids.tolist() == [1, 0, 0]
    assert len(joined) == 3
