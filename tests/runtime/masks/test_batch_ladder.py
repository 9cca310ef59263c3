"""The ladder of batch sizes: few sizes, every row once, and padding only where it saves a run."""

from __future__ import annotations

import numpy as np
import pytest

from fastsam_trt.masks.batch_ladder import LADDER, batches, filled
from support.typed import double

KEEPS, TAKES_ANY = double(prefers_few_shapes=True), double(prefers_few_shapes=False)


@pytest.mark.parametrize("most", [1, 3, 10, 16, 300])
def test_every_row_is_run_once_in_sizes_of_the_ladder(most: int) -> None:
    for count in range(150):
        runs = list(batches(KEEPS, count, most))
        rows = [row for part, _ in runs for row in range(part.start, part.stop)]
        assert rows == list(range(count))
        assert {size for _, size in runs} <= {size for size in LADDER if size <= most}
        spare = sum(size for _, size in runs) - count
        assert spare < len(LADDER)
        assert all(0 < part.stop - part.start <= size for part, size in runs)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(0, []), (1, [1]), (3, [2, 1]), (7, [8]), (12, [8, 4]), (15, [16]), (20, [16, 4]), (31, [16, 16])],
)
def test_padding_is_used_where_it_costs_less_than_a_run(count: int, sizes: list[int]) -> None:
    assert [size for _, size in batches(KEEPS, count, 16)] == sizes


def test_ten_thousand_rows_are_split_as_few_are() -> None:
    sizes = [size for _, size in batches(KEEPS, 50_003, 16)]
    assert sizes == [16] * 3125 + [2, 1]


def test_sessions_of_any_shape_get_no_padding() -> None:
    assert list(batches(TAKES_ANY, 21, 10)) == [(slice(0, 10), 10), (slice(10, 20), 10), (slice(20, 21), 1)]
    assert not list(batches(TAKES_ANY, 0, 10))


def test_no_rows_make_no_run_whatever_the_largest_batch() -> None:
    assert not list(batches(KEEPS, 0, 0))
    assert not list(batches(TAKES_ANY, 0, 0))


def test_rows_are_padded() -> None:
    rows = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(filled(rows, 4), [[0, 1], [2, 3], [4, 5], [4, 5]])
    np.testing.assert_array_equal(filled(rows, 5, "constant")[3:], 0)
    np.testing.assert_array_equal(filled(rows, 3), rows)
