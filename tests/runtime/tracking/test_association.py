"""Association: affinities and greedy matching equal plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fastsam_trt.tracking.association import IMPOSSIBLE, affinities, match_greedily
from support.made_tracks import random_boxes


def plain_affinity(track, track_class, box, class_id) -> float:
    """Compute `affinities` for one pair in plain arithmetic."""
    sides, other = [[max(b[2 + i] - b[i], 1) for i in range(2)] for b in (track, box)]
    inter = np.prod([max(min(track[2 + i], box[2 + i]) - max(track[i], box[i]), 0) for i in range(2)])
    union = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (track, box)) - inter
    iou = inter / union if union > 0 else 0
    size = np.prod([min(a, b) / max(a, b) for a, b in zip(sides, other, strict=True)])
    apart = np.hypot(*[(track[i] + track[2 + i] - box[i] - box[2 + i]) / 2 for i in range(2)])
    near = max(1 - apart / (1.25 * np.sqrt(np.hypot(*sides) * np.hypot(*other))), 0)
    if size < 0.25 or (iou < 0.2 and near < 0.6):
        return -1.0
    return float((iou + near) / 2 * np.sqrt(size) - 0.1 * (track_class != class_id))


@pytest.mark.parametrize("seed", range(8))
def test_affinities_and_matches_equal_plain_loops(seed: int) -> None:
    generator = np.random.default_rng(seed)
    boxes = random_boxes(generator, 60)
    tracks = np.concatenate([boxes[:40] + generator.normal(0, 8, (40, 4)).astype(np.float32), boxes[:15]])
    track_classes, classes = generator.integers(0, 3, len(tracks)), generator.integers(0, 3, len(boxes))
    fast = affinities(tracks, track_classes.astype(np.int32), boxes, classes.astype(np.int32))
    plain = np.array(
        [
            [plain_affinity(t.astype(float), a, b.astype(float), c) for b, c in zip(boxes, classes, strict=True)]
            for t, a in zip(tracks, track_classes, strict=True)
        ]
    )
    np.testing.assert_allclose(fast, plain, atol=2e-5)
    pairs = []
    for row, column in sorted(itertools.product(range(55), range(60)), key=lambda at: (-fast[at], at)):
        if fast[row, column] >= 0.3 and all(row != r and column != c for r, c in pairs):
            pairs.append((row, column))
    assert len(pairs) > 30
    assert sorted(zip(*(each.tolist() for each in match_greedily(fast, 0.3)), strict=True)) == sorted(pairs)


def test_ties_go_to_the_lower_row_then_column() -> None:
    rows, columns = match_greedily(np.ones((3, 2), np.float32), 0.5)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 0), (1, 1)]
    assert not len(match_greedily(np.empty((0, 4), np.float32), 0.5)[0])
    assert not len(match_greedily(np.full((2, 2), IMPOSSIBLE), 0.5)[0])
