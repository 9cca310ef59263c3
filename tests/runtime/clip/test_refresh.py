"""Refreshes: the urgency of a track, and the blend of its old and new embeddings."""

from __future__ import annotations

import numpy as np

from fastsam_trt.clip.refresh import blend, refresh_urgency
from fastsam_trt.clip.refresh_schedule import DEFAULT_SCHEDULE
from fastsam_trt.clip.track_table import TrackTable


def test_urgency_is_finite_and_grows_with_age() -> None:
    table = TrackTable()
    table.add(np.arange(5, dtype=np.int32))
    records = table.records
    records["embed_count"], records["embedded_sides_px"], records["age_frames"] = 1, 0, [0, 1, 2, 3, 30]
    urgent = refresh_urgency(records, np.zeros((5, 2), np.float32), DEFAULT_SCHEDULE)
    assert np.isfinite(urgent).all()
    assert (np.diff(urgent) >= 0).all()
    assert (urgent >= 1).tolist() == (urgent > 0.99).tolist()
    assert urgent[4] >= 1


def test_an_embedding_on_a_much_larger_box_replaces_the_old_one() -> None:
    table = TrackTable()
    table.add(np.array([4], np.int32))
    table.records["embed_count"], table.records["embedded_sides_px"] = 1, 20
    old, new = np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32)
    mixed = {
        side: blend(table.records, old, np.full((1, 2), side, np.float32), new, DEFAULT_SCHEDULE)[0]
        for side in (20, 60)
    }
    assert mixed[20][0] > 0.4
    assert mixed[60][0] < 0.01
    np.testing.assert_allclose([np.linalg.norm(each) for each in mixed.values()], 1, atol=1e-6)
    np.testing.assert_allclose(
        blend(table.records, -new, np.full((1, 2), 20, np.float32), new, DEFAULT_SCHEDULE), new, atol=1e-6
    )
    table.records["embed_count"] = 0
    np.testing.assert_array_equal(
        blend(table.records, old, np.full((1, 2), 20, np.float32), new, DEFAULT_SCHEDULE), new
    )
