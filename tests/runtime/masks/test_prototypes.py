"""Logits of prototypes in tiles are those of the whole map, in any memory order."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fastsam_trt.masks.prototypes import Prototypes

CHANNELS, HEIGHT, WIDTH = 5, 24, 36


def _whole() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    generator = np.random.default_rng(0)
    prototypes = generator.normal(size=(CHANNELS, HEIGHT, WIDTH)).astype(np.float32)
    return prototypes, generator.normal(size=CHANNELS).astype(np.float32)


def _windows() -> list[tuple[int, int, int, int]]:
    generator = np.random.default_rng(1)
    found = [(0, HEIGHT, 0, WIDTH), (0, 1, 0, 1), (HEIGHT - 1, HEIGHT, WIDTH - 1, WIDTH), (7, 9, 5, 6)]
    for _ in range(30):
        top, left = int(generator.integers(0, HEIGHT)), int(generator.integers(0, WIDTH))
        found.append(
            (top, int(generator.integers(top + 1, HEIGHT + 1)), left, int(generator.integers(left + 1, WIDTH + 1)))
        )
    return found


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("side", [4, 8, 12])
@pytest.mark.parametrize("origin", [(0, 0), (-3, -1)])
def test_logits_of_tiles_are_those_of_the_map(channels_last: bool, side: int, origin: tuple[int, int]) -> None:
    prototypes, coefficients = _whole()
    expected = np.tensordot(coefficients, prototypes, 1)
    padded = np.full((CHANNELS, HEIGHT + 2 * side, WIDTH + 2 * side), np.nan, np.float32)
    padded[:, side : side + HEIGHT, side : side + WIDTH] = prototypes
    tops, lefts = (np.arange(first, length, side) for first, length in zip(origin, (HEIGHT, WIDTH), strict=True))
    grid = np.array([(top, left) for top in tops for left in lefts])
    np.random.default_rng(2).shuffle(grid)
    tiles = np.stack([padded[:, top + side : top + 2 * side, left + side : left + 2 * side] for top, left in grid])
    unused = np.zeros((3, *tiles.shape[1:]), np.float32)
    tiles = np.concatenate([tiles, unused])
    if channels_last:
        tiles = np.ascontiguousarray(tiles.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    held = Prototypes(tiles, grid[:, 0], grid[:, 1])
    for top, bottom, left, right in _windows():
        for each in (held, held.gathered(), Prototypes(held.map[None], tops[:1], lefts[:1])):
            found = each.logits(coefficients, top, bottom, left, right).T
            np.testing.assert_allclose(found, expected[top:bottom, left:right], atol=1e-5)


def test_one_tile_is_the_whole_map() -> None:
    prototypes, coefficients = _whole()
    expected = np.tensordot(coefficients, prototypes, 1)
    found = Prototypes(prototypes[None]).logits(coefficients, 3, 20, 1, 30).T
    np.testing.assert_allclose(found, expected[3:20, 1:30], atol=1e-5)


def test_prototypes_that_are_gathered_already_are_not_copied() -> None:
    prototypes, _ = _whole()
    last = np.ascontiguousarray(prototypes.transpose(1, 2, 0)).transpose(2, 0, 1)
    assert (held := Prototypes(last[None])).gathered() is held
    assert (held := Prototypes(prototypes[None])).gathered() is not held


def test_a_tile_may_lie_anywhere() -> None:
    prototypes, coefficients = _whole()
    expected = np.tensordot(coefficients, prototypes, 1)
    held = Prototypes(prototypes[None, :, 8:16, 12:20], np.array([8]), np.array([12]))
    np.testing.assert_allclose(held.logits(coefficients, 9, 16, 13, 20).T, expected[9:16, 13:20], atol=1e-5)
