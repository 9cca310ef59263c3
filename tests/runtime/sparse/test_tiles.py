"""Tiles cover the windows that masks need, side by side, and cost no more than the whole map."""

from __future__ import annotations

import numpy as np
import pytest

from fastsam_trt.sparse.tiles import LADDER, SIDES, Tiles, halves, rung, tile_around, tiles_under

HEIGHT, WIDTH = 120, 160


def _covered(windows: np.ndarray, height: int = HEIGHT, width: int = WIDTH) -> Tiles:
    tiles = tiles_under(windows, height, width)
    assert tiles is not None
    side = tiles.height
    assert side in SIDES
    assert tiles.width == side
    covered = set[tuple[int, int]]()
    for top, left in zip(tiles.tops.tolist(), tiles.lefts.tolist(), strict=True):
        cells = {(y, x) for y in range(top, top + side) for x in range(left, left + side)}
        assert not covered & cells
        assert any(0 <= y < height and 0 <= x < width for y, x in cells)
        covered |= cells
    for top, left, bottom, right in windows.tolist():
        assert {(y, x) for y in range(top, bottom) for x in range(left, right)} <= covered
    return tiles


def _firsts(tiles: Tiles) -> list[tuple[int, int]]:
    return list(zip(tiles.tops.tolist(), tiles.lefts.tolist(), strict=True))


@pytest.mark.parametrize("side", SIDES)
def test_a_window_as_large_as_a_tile_is_one_tile_wherever_it_lies(side: int) -> None:
    for top, left in ((0, 0), (5, 7), (side, 2 * side), (HEIGHT - side, WIDTH - side)):
        tiles = _covered(np.array([[top, left, top + side, left + side]]))
        assert (_firsts(tiles), tiles.height) == ([(top, left)], side)


def test_the_side_is_the_one_of_least_work() -> None:
    assert _covered(np.array([[5, 7, 21, 23]])).height == 8  # 4 small tiles or 4 large ones
    assert _covered(np.array([[5, 7, 29, 31]])).height == 12  # 9 or 4


def test_windows_that_overlap_share_tiles() -> None:
    window = [20, 30, 32, 54]
    assert _firsts(_covered(np.array([window, window, [21, 40, 25, 45]]))) == [(20, 30), (20, 42)]


def test_far_windows_leave_out_what_is_between() -> None:
    assert len(_covered(np.array([[0, 0, 6, 6], [100, 140, 106, 146]])).tops) <= 5


def test_windows_that_fill_the_map_are_the_whole_map() -> None:
    assert tiles_under(np.array([[0, 0, HEIGHT, WIDTH]]), HEIGHT, WIDTH) is None
    assert tiles_under(np.array([[0, 0, 80, 100], [30, 50, HEIGHT, WIDTH], [10, 10, 100, 140]]), HEIGHT, WIDTH) is None


@pytest.mark.parametrize("size", [(1, 1), (5, 6), (8, 8)])
def test_a_map_no_larger_than_a_tile_is_the_whole_map(size: tuple[int, int]) -> None:
    assert tiles_under(np.array([[0, 0, 1, 1]]), *size) is None


@pytest.mark.parametrize("seed", range(30))
def test_random_windows_are_covered_and_cost_no_more_than_the_map(seed: int) -> None:
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, 40))
    low = generator.integers((0, 0), (HEIGHT - 1, WIDTH - 1), (count, 2))
    high = np.minimum(low + generator.integers(1, 12, (count, 2)), (HEIGHT, WIDTH))
    windows = np.concatenate([low, high], axis=1)
    if tiles_under(windows, HEIGHT, WIDTH) is not None:
        tiles = _covered(windows)
        assert rung(len(tiles.tops)) * tiles.height * tiles.width < HEIGHT * WIDTH


def test_one_tile_covers_all_windows() -> None:
    tiles = tile_around(np.array([[3, 50, 8, 60], [1, 55, 4, 90]]))
    assert _firsts(tiles) == [(1, 50)]
    assert (tiles.height, tiles.width) == (7, 40)


@pytest.mark.parametrize("height", [1, 2, 7, 80])
def test_halves_cover_the_map(height: int) -> None:
    tiles = halves(height, 9)
    assert tiles.tops.tolist() == [0, tiles.height]
    assert 2 * tiles.height - height in {0, 1}
    assert tiles.width == 9


def test_rungs_are_the_ladders_numbers_and_beyond_it_any() -> None:
    assert [rung(count) for count in (1, 7, 8, LADDER[-1], LADDER[-1] + 1)] == [1, 8, 8, LADDER[-1], LADDER[-1] + 1]
