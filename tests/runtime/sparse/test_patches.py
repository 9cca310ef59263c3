"""Patches hold the cells around anchors; cells outside the map are marked, and none are lost at borders."""

from __future__ import annotations

import numpy as np
import pytest

from fastsam_trt.sparse.anchor_grid import AnchorGrid
from fastsam_trt.sparse.crossing import Crossing, rule
from fastsam_trt.sparse.patches import LADDER, patches_around, picked, rung, whole_level

HEIGHT, WIDTH = 6, 9


@pytest.mark.parametrize("reach", [0, 1, 2, 3])
@pytest.mark.parametrize("image", [0, 2])
def test_a_patch_is_a_window_of_the_padded_map(reach: int, image: int) -> None:
    images = np.arange(3 * HEIGHT * WIDTH).reshape(3, HEIGHT, WIDTH)
    padded = np.pad(images[image], reach, constant_values=-1)
    anchors = np.arange(HEIGHT * WIDTH)
    cells, inside, picks = patches_around(anchors, HEIGHT, WIDTH, reach, np.full(len(anchors), image))
    side = 2 * reach + 1
    for anchor in anchors.tolist():
        y, x = divmod(anchor, WIDTH)
        expected = padded[y : y + side, x : x + side]
        assert np.array_equal(inside[anchor] == 1, expected >= 0)
        assert np.array_equal(images.reshape(-1)[cells[anchor]][expected >= 0], expected[expected >= 0])
    assert (cells >= 0).all()
    assert (cells < images.size).all()
    assert np.array_equal(picks[: len(anchors)], anchors)


@pytest.mark.parametrize("reach", [1, 2])
def test_a_whole_level_is_the_padded_map(reach: int) -> None:
    cells, inside = whole_level(HEIGHT, WIDTH, reach, 2)
    padded = np.pad(np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH), reach, constant_values=-1)
    for image in range(2):
        assert np.array_equal(inside[image] == 1, padded >= 0)
        assert np.array_equal(cells[image][padded >= 0] - image * HEIGHT * WIDTH, padded[padded >= 0])


def test_numbers_of_patches_are_few() -> None:
    assert [rung(count) for count in (0, 1, 5, 33, 1024)] == [0, 1, 6, 48, 1024]
    assert rung(1025) == 2048
    assert len({rung(count) for count in range(1025)}) == len(LADDER) + 1
    cells, inside, picks = patches_around(np.array([3, 4, 5, 6, 7]), HEIGHT, WIDTH, 1)
    assert len(cells) == len(inside) == len(picks) == 6
    assert patches_around(np.empty(0, np.intp), HEIGHT, WIDTH, 1, fewest=1).cells.shape == (1, 3, 3)
    assert picked(np.array([4, 2]), 3).tolist() == [4, 2, 0]


def test_anchors_are_cells_of_levels_by_rising_stride() -> None:
    grid = AnchorGrid({16: (3, 4), 8: (6, 8)})
    assert [(level.stride, level.first, level.cells) for level in grid.levels] == [(8, 0, 48), (16, 48, 12)]
    anchors = np.array([59, 0, 48, 9])
    assert [positions.tolist() for positions in grid.by_level(anchors)] == [[1, 3], [0, 2]]
    centres, strides = grid.centres(anchors)
    assert centres.tolist() == [[3.5, 2.5], [0.5, 0.5], [0.5, 0.5], [1.5, 1.5]]
    assert strides.tolist() == [16, 8, 16, 8]


def test_the_crossing_has_hysteresis() -> None:
    (level,) = AnchorGrid({8: (30, 30)}).levels
    crossing = Crossing("auto", 2, on_host=True)
    assert [crossing.whole(level, anchors) for anchors in (100, 101, 80, 75, 101, 76)] == [
        False, True, True, False, True, True,
    ]  # fmt: skip


def test_the_choice_can_be_forced() -> None:
    (level,) = AnchorGrid({8: (30, 30)}).levels
    assert Crossing("dense", 2, on_host=True).whole(level, 0)
    assert not Crossing("sparse", 2, on_host=True).whole(level, 900)
    assert Crossing("auto", 2, on_host=False).whole(level, 0)
    assert not Crossing("sparse", 2, on_host=False).whole(level, 900)


@pytest.mark.parametrize(("reach", "side", "per_patch"), [(2, 5, 9), (1, 3, 1), (3, 7, 25)])
def test_the_rule_has_the_numbers_of_the_crossing(reach: int, side: int, per_patch: int) -> None:
    assert f"patches of {side} x {side} cells" in rule(reach)
    assert f"more than 1 in {per_patch} of its anchors, until they are at most 0.75 of that" in rule(reach)
    (level,) = AnchorGrid({8: (10, 3 * per_patch)}).levels
    crossing = Crossing("auto", reach, on_host=True)
    assert [crossing.whole(level, anchors) for anchors in (30, 31, 23, 22)] == [False, True, True, False]
