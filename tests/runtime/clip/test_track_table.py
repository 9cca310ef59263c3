"""TrackTable: rows are found by id after any history."""

from __future__ import annotations

import numpy as np

from fastsam_trt.clip.track_table import TrackTable


def test_rows_are_found_by_id_after_adding_and_dropping() -> None:
    table, generator, truth = TrackTable(), np.random.default_rng(2), {}
    table.set_dimensions(3)
    for _ in range(50):
        ids = generator.choice(2000, 60, replace=False).astype(np.int32)
        rows = table.find(ids)
        assert {int(i) for i, r in zip(ids, rows, strict=True) if r >= 0} == truth.keys() & set(ids.tolist())
        new = ids[rows < 0]
        table.add(new)
        table.vectors[table.find(new)] = new[:, None]
        truth |= dict.fromkeys(new.tolist(), True)
        kept = generator.random(len(table)) < 0.7
        truth = dict.fromkeys(table.records["id"][kept].tolist(), True)
        table.keep(kept)
        ids = np.array(list(truth), np.int32)
        np.testing.assert_array_equal(table.vectors[table.find(ids)][:, 1], ids)
