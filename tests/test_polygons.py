"""Polygons: filled again they are the masks, and no segment or part of one is lost."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from fastsam_trt.errors import OptionError
from fastsam_trt.masks import MaskCrop
from fastsam_trt.polygons import polygons
from made_results import HEIGHT, WIDTH, cut, hard_masks, made_result

MASKS = hard_masks()
HOLED = ("ring", "island in a ring", "noise")


def _filled(outlines: list[np.ndarray], size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    canvas = np.zeros(size, np.uint8)
    for outline in outlines:
        cv2.fillPoly(canvas, [outline.astype(np.int32)], 1)
    return canvas.astype(bool)


def _without_holes(mask: np.ndarray) -> np.ndarray:
    """A mask and all it encloses: what a flood from outside, over sides only, does not reach."""
    canvas = np.pad(mask.astype(np.uint8), 1)
    cv2.floodFill(canvas, None, (0, 0), 2, flags=4)
    return (canvas != 2)[1:-1, 1:-1]


@pytest.mark.parametrize("name", MASKS)
def test_polygons_filled_again_are_the_mask(name: str) -> None:
    mask = MASKS[name]
    (outlines,) = made_result([mask]).polygons()
    np.testing.assert_array_equal(_filled(outlines), _without_holes(mask))
    if name not in HOLED:
        np.testing.assert_array_equal(_filled(outlines), mask)
    for outline in outlines:
        assert outline.dtype == np.float32
        assert outline.ndim == 2
        assert outline.shape[0] >= 3
        assert outline.shape[1] == 2


def test_random_masks_anywhere_in_the_frame() -> None:
    generator = np.random.default_rng(1)
    for _ in range(200):
        height, width = generator.integers(1, 30, 2)
        top, left = generator.integers(0, HEIGHT - height + 1), generator.integers(0, WIDTH - width + 1)
        pixels = generator.random((height, width)) < generator.choice([0.05, 0.5, 0.95])
        whole = np.zeros((HEIGHT, WIDTH), np.bool_)
        whole[top : top + height, left : left + width] = pixels
        crop = MaskCrop(int(left), int(top), pixels if generator.random() < 0.5 else np.asfortranarray(pixels))
        np.testing.assert_array_equal(_filled(polygons([crop])[0]), _without_holes(whole))


def test_each_part_has_a_polygon_and_none_is_lost() -> None:
    result = made_result(list(MASKS.values()))
    found = result.polygons()
    for mask, outlines in zip(MASKS.values(), found, strict=True):
        outer = cv2.connectedComponents(_without_holes(mask).astype(np.uint8), connectivity=8)[0] - 1
        assert len(outlines) == outer
    named = dict(zip(MASKS, found, strict=True))
    assert named["nothing"] == []
    assert named["one pixel"][0].tolist() == [[9, 7]] * 3
    assert {tuple(vertex) for vertex in named["row"][0].tolist()} == {(5, 0), (29, 0)}
    assert len(named["parts"]) == 3
    assert len(named["ring"]) == len(named["island in a ring"]) == 1


def test_vertices_are_pixel_centres() -> None:
    """So Pick's theorem counts the mask's pixels: area + half the pixels on the outline + 1."""
    size = (300, 300)
    mask = np.zeros(size, np.bool_)
    mask[(np.mgrid[:300] - 150)[:, None] ** 2 + (np.mgrid[:300] - 140) ** 2 < 100**2] = True
    (outline,) = made_result([mask], size=size).polygons()[0]
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    assert outline.min(axis=0).tolist() == [columns[0], rows[0]]
    assert outline.max(axis=0).tolist() == [columns[-1], rows[-1]]
    edges = np.abs(np.diff(outline, axis=0, append=outline[:1])).astype(int)
    assert mask.sum() == cv2.contourArea(outline) + np.gcd(*edges.T).sum() / 2 + 1


def test_half_a_pixel_on_they_are_cocos_lists() -> None:
    disc = np.zeros((300, 300), np.uint8)
    cv2.circle(disc, (140, 150), 100, 1, cv2.FILLED)
    (outline,) = made_result([disc.astype(bool)], size=(300, 300)).polygons()[0]
    refilled = coco.frPyObjects([(outline + 0.5).ravel().tolist()], 300, 300)
    assert coco.iou(refilled, [coco.encode(np.asfortranarray(disc))], [0])[0, 0] > 0.98


def test_simplified_outlines_are_shorter_and_near() -> None:
    disc = MASKS["disc"]
    exact, loose, looser = (made_result([disc]).polygons(simplify_px)[0][0] for simplify_px in (0, 1, 4))
    assert len(exact) > len(loose) > len(looser) >= 3
    for outline, limit in ((loose, 0.9), (looser, 0.7)):
        filled = _filled([outline])
        assert (filled & disc).sum() / (filled | disc).sum() > limit
    for vertex in exact:
        assert abs(cv2.pointPolygonTest(loose, vertex.tolist(), measureDist=True)) <= 1.0001


def test_a_simplified_outline_has_no_seam() -> None:
    """The stairs beside the topmost pixel, where outlines begin and end, go like all others."""
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    triangle = np.abs(xx - 40) <= yy // 4
    (outline,) = made_result([triangle]).polygons(2)[0]
    assert len(outline) == 3


def test_simplifying_loses_no_segment() -> None:
    found = made_result(list(MASKS.values())).polygons(1000)
    for mask, outlines in zip(MASKS.values(), found, strict=True):
        assert bool(outlines) == mask.any()
        assert all(len(outline) >= 3 for outline in outlines)


def test_nothing_selected_has_no_polygons() -> None:
    assert made_result([]).polygons() == []


@pytest.mark.parametrize("simplify_px", [-1, float("nan"), float("inf")])
def test_tolerances_that_are_none(simplify_px: float) -> None:
    for masks in ([], [MASKS["disc"]]):
        with pytest.raises(OptionError, match="simplify_px: expected a number of 0 or more"):
            made_result(masks).polygons(simplify_px)


def test_the_frame_is_never_touched_whole() -> None:
    """A crop far out in a frame that could not be allocated."""
    crop = cut(MASKS["disc"])
    far = MaskCrop(1_000_000, 2_000_000, crop.pixels)
    near, moved = polygons([crop, far])
    shift = np.array([1_000_000 - crop.left, 2_000_000 - crop.top], np.float32)
    np.testing.assert_array_equal(moved[0], near[0] + shift)
