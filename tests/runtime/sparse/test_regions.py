"""Regions cover the windows that masks need, and cost no more than the whole map."""

from __future__ import annotations

import numpy as np
import pytest

from fastsam_trt.sparse.regions import Region, regions_around

HEIGHT, WIDTH, PER_RUN = 60, 80, 100


def _covered(windows: np.ndarray) -> list[tuple[Region, np.ndarray]]:
    found = regions_around(windows, HEIGHT, WIDTH, PER_RUN)
    assert sorted(index for _, members in found for index in members.tolist()) == list(range(len(windows)))
    for region, members in found:
        assert region.top >= 0
        assert region.left >= 0
        assert region.bottom <= HEIGHT
        assert region.right <= WIDTH
        for top, left, bottom, right in windows[members].tolist():
            assert region.top <= top
            assert region.left <= left
            assert region.bottom >= bottom
            assert region.right >= right
    return found


def test_one_small_window_is_a_small_region() -> None:
    ((region, _),) = _covered(np.array([[20, 30, 25, 38]]))
    assert region == (20, 30, 28, 38)


def test_a_window_in_a_corner_stays_inside_the_map() -> None:
    ((region, _),) = _covered(np.array([[0, 0, 5, 5]]))
    assert region == (0, 0, 8, 8)
    ((region, _),) = _covered(np.array([[HEIGHT - 5, WIDTH - 5, HEIGHT, WIDTH]]))
    assert region == (HEIGHT - 8, WIDTH - 8, HEIGHT, WIDTH)


def test_near_windows_share_a_region_and_far_ones_do_not() -> None:
    near = _covered(np.array([[10, 10, 14, 14], [10, 15, 14, 19]]))
    assert len(near) == 1
    far = _covered(np.array([[2, 2, 6, 6], [50, 70, 54, 74]]))
    assert len(far) == 2


def test_windows_that_fill_the_map_are_the_whole_map() -> None:
    windows = np.array([[0, 0, 40, 50], [15, 25, 60, 80], [5, 5, 50, 70]])
    ((region, members),) = _covered(windows)
    assert region == (0, 0, HEIGHT, WIDTH)
    assert members.tolist() == [0, 1, 2]


def test_many_windows_take_one_region() -> None:
    generator = np.random.default_rng(0)
    corners = generator.integers((0, 0), (20, 20), (100, 2))
    assert len(_covered(np.concatenate([corners, corners + 4], axis=1))) == 1


@pytest.mark.parametrize("seed", range(40))
def test_random_windows_are_covered_and_cost_no_more_than_the_map(seed: int) -> None:
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, 12))
    low = generator.integers((0, 0), (HEIGHT - 1, WIDTH - 1), (count, 2))
    high = np.minimum(low + generator.integers(1, 30, (count, 2)), (HEIGHT, WIDTH))
    found = _covered(np.concatenate([low, high], axis=1))
    assert sum(region.cells + PER_RUN for region, _ in found) <= Region(0, 0, HEIGHT, WIDTH).cells + PER_RUN


def test_a_map_smaller_than_the_smallest_side_is_one_region() -> None:
    ((region, _),) = regions_around(np.array([[1, 1, 2, 2]]), 5, 6, PER_RUN)
    assert region == (0, 0, 5, 6)


def test_a_map_larger_than_the_largest_side_is_covered() -> None:
    ((region, _),) = regions_around(np.array([[10, 10, 12, 190]]), 100, 300, PER_RUN)
    assert region == (10, 0, 18, 300)


def test_the_constant_part_of_a_run_decides_whether_windows_share_one() -> None:
    windows = np.array([[2, 2, 10, 10], [2, 22, 10, 30]])
    assert len(regions_around(windows, HEIGHT, WIDTH, 20)) == 2
    assert len(regions_around(windows, HEIGHT, WIDTH, 300)) == 1
