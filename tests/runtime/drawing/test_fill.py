"""Tints: inside masks only, of the front mask's colour only, and smooth at edges without outlines."""

from __future__ import annotations

import numpy as np
import pytest

from fastsam_trt.drawing.fill import fill
from fastsam_trt.masks.mask_source import MaskCrop
from support.made_results import cut, hard_masks

GREY = 100
RED, BLUE = (0, 0, 200), (200, 0, 0)


def _grey() -> np.ndarray:
    return np.full((60, 80, 3), GREY, np.uint8)


def _mixed(colour: tuple[int, int, int], opacity: float) -> np.ndarray:
    return GREY * (1 - opacity) + np.array(colour) * opacity


@pytest.mark.parametrize("name", hard_masks())
def test_a_tint_changes_its_mask_and_nothing_else(name: str) -> None:
    mask, image = hard_masks()[name], _grey()
    fill(image, [cut(mask)], [RED], 0.4, smooth=False)
    assert (image[~mask] == GREY).all()
    np.testing.assert_allclose(image[mask], np.broadcast_to(_mixed(RED, 0.4), (mask.sum(), 3)), atol=1)


def test_colours_of_overlapping_masks_do_not_mix() -> None:
    image, masks = _grey(), hard_masks()
    fill(image, [cut(masks["full frame"]), cut(masks["disc"])], [RED, BLUE], 0.5, smooth=False)
    np.testing.assert_allclose(image[30, 40], _mixed(BLUE, 0.5), atol=1)
    np.testing.assert_allclose(image[0, 0], _mixed(RED, 0.5), atol=1)


def test_smooth_edges_fall_off_and_the_inside_is_even() -> None:
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:60] = True
    image = _grey()
    fill(image, [cut(mask)], [RED], 0.6, smooth=True)
    np.testing.assert_allclose(image[30, 45], _mixed(RED, 0.6), atol=2)
    across = image[30, 27:33, 0].astype(int)
    assert across[0] == GREY
    assert across.tolist() == sorted(across, reverse=True)
    assert len(set(across)) >= 4  # background, two shades of the edge, inside
    far = np.ones_like(mask)
    far[19:41, 29:61] = False
    assert (image[far] == GREY).all()


def test_a_mask_on_the_frame_edge_is_smooth_inside_the_frame_only() -> None:
    image = _grey()
    fill(image, [cut(hard_masks()["full frame"])], [RED], 0.5, smooth=True)
    np.testing.assert_allclose(image, np.broadcast_to(_mixed(RED, 0.5), image.shape), atol=2)


def test_more_colours_than_an_index_of_one_byte_holds() -> None:
    image = np.full((20, 400, 3), GREY, np.uint8)
    colours = [(i % 256, i // 256, 7) for i in range(400)]
    fill(image, [MaskCrop(i, 0, np.ones((20, 1), bool)) for i in range(400)], colours, 1.0, smooth=False)
    np.testing.assert_array_equal(image[10], colours)


def test_nothing_to_tint_changes_nothing() -> None:
    image = _grey()
    fill(image, [], [], 0.5, smooth=True)
    fill(
        image,
        [MaskCrop(3, 3, np.zeros((0, 5), bool)), MaskCrop(3, 3, np.zeros((4, 5), bool))],
        [RED] * 2,
        0.5,
        smooth=True,
    )
    fill(image, [cut(hard_masks()["disc"])], [RED], 0.0, smooth=False)
    assert (image == GREY).all()
