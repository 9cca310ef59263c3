"""Polygons: pycocotools rasterises them to the masks, and no segment or part is lost."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from fastsam_trt.errors import OptionError
from fastsam_trt.masks.mask_source import MaskCrop
from fastsam_trt.results.outlines import centre_rings, join
from fastsam_trt.results.polygons import coco_polygons, polygons
from support.made_results import HEIGHT, WIDTH, cut, hard_masks, made_result

MASKS = hard_masks()


def _rasterised(lists: list[list[float]], size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """A `segmentation` rasterised by pycocotools."""
    return coco.decode(coco.merge(coco.frPyObjects(lists, *size))).astype(bool) if lists else np.zeros(size, bool)


def _filled(outlines: list[np.ndarray], shift: float = 0.5) -> np.ndarray:
    return _rasterised([(outline + shift).ravel().tolist() for outline in outlines])


def _area(outline: np.ndarray) -> float:
    x, y = outline.astype(float).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _without_holes(mask: np.ndarray) -> np.ndarray:
    """A mask with its holes filled: everything that a 4-connected flood fill from outside does not reach."""
    canvas = np.pad(mask.astype(np.uint8), 1)
    cv2.floodFill(canvas, None, (0, 0), 2, flags=4)
    return (canvas != 2)[1:-1, 1:-1]


def _random_crops(count: int) -> list[tuple[MaskCrop, np.ndarray]]:
    generator = np.random.default_rng(1)
    made = []
    for _ in range(count):
        height, width = generator.integers(1, 30, 2)
        top, left = generator.integers(0, HEIGHT - height + 1), generator.integers(0, WIDTH - width + 1)
        pixels = generator.random((height, width)) < generator.choice([0.05, 0.5, 0.95])
        whole = np.zeros((HEIGHT, WIDTH), np.bool_)
        whole[top : top + height, left : left + width] = pixels
        made.append((MaskCrop(int(left), int(top), pixels if len(made) % 2 else np.asfortranarray(pixels)), whole))
    return made


@pytest.mark.parametrize("side", [1, 2, 5, 10, 20])
def test_a_square_keeps_its_area(side: int) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[20 : 20 + side, 30 : 30 + side] = True
    (outline,) = made_result([mask]).polygons()[0]
    assert _area(outline) == _filled([outline]).sum() == side * side
    assert outline.min(axis=0).tolist() == [29.5, 19.5]
    assert outline.max(axis=0).tolist() == [29.5 + side, 19.5 + side]


@pytest.mark.parametrize("name", MASKS)
def test_pycocotools_rasterises_polygons_to_the_mask(name: str) -> None:
    mask = MASKS[name]
    (outlines,) = made_result([mask]).polygons()
    np.testing.assert_array_equal(_filled(outlines), mask)
    np.testing.assert_array_equal(_filled(outlines, shift=0), mask)  # its rounding forgives half a pixel
    np.testing.assert_array_equal(_rasterised(coco_polygons([cut(mask)])[0]), mask)
    assert sum(map(_area, outlines)) == mask.sum()
    for outline in outlines:
        assert outline.dtype == np.float32
        assert outline.ndim == 2
        assert outline.shape[0] >= 4
        assert outline.shape[1] == 2


@pytest.mark.parametrize("name", MASKS)
def test_without_holes_polygons_are_filled(name: str) -> None:
    (outlines,) = made_result([MASKS[name]]).polygons(holes=False)
    whole = _without_holes(MASKS[name])
    np.testing.assert_array_equal(_filled(outlines), whole)
    assert len(outlines) == cv2.connectedComponents(whole.astype(np.uint8), connectivity=8)[0] - 1


def test_random_masks_anywhere_in_the_frame() -> None:
    for crop, whole in _random_crops(300):
        np.testing.assert_array_equal(_rasterised(coco_polygons([crop])[0]), whole)
        np.testing.assert_array_equal(_filled(polygons([crop])[0]), whole)
        np.testing.assert_array_equal(_filled(polygons([crop], holes=False)[0]), _without_holes(whole))


def test_centre_rings_fill_the_mask() -> None:
    for crop, whole in _random_crops(100):
        canvas = np.zeros(whole.shape, np.uint8)
        for part in centre_rings(crop.pixels):
            cv2.fillPoly(canvas, [ring + np.int32([crop.left, crop.top]) for ring in part], 1)
        np.testing.assert_array_equal(canvas.astype(bool), whole)


def test_every_part_has_a_polygon() -> None:
    found = made_result(list(MASKS.values())).polygons()
    for mask, outlines in zip(MASKS.values(), found, strict=True):
        assert len(outlines) == cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1
    named = dict(zip(MASKS, found, strict=True))
    assert named["nothing"] == []
    assert sorted(named["one pixel"][0].tolist()) == [[8.5, 6.5], [8.5, 7.5], [9.5, 6.5], [9.5, 7.5]]
    assert len(named["row"][0]) == len(named["full frame"][0]) == 4
    assert [len(named[name]) for name in ("parts", "ring", "island in a ring")] == [3, 1, 2]


def test_parts_far_apart_become_one_ring() -> None:
    squares = [np.array([[x, y], [x, y + 4], [x + 4, y + 4], [x + 4, y]], np.int32) for x, y in
               [(60, 9), (9, 50), (9, 5), (30, 30)]]  # fmt: skip
    joined = join(squares)
    assert len(joined) == 4 * 4 + 2 * 3
    np.testing.assert_array_equal(
        _rasterised([joined.ravel().tolist()]), _rasterised([square.ravel().tolist() for square in squares])
    )


def test_simplified_outlines_are_shorter_and_within_tolerance() -> None:
    disc = MASKS["disc"]
    exact, loose, looser = (made_result([disc]).polygons(simplify_px)[0][0] for simplify_px in (0, 1, 4))
    assert len(exact) > len(loose) > len(looser) >= 3
    for outline, limit in ((loose, 0.9), (looser, 0.7)):
        filled = _filled([outline])
        assert (filled & disc).sum() / (filled | disc).sum() > limit
    for vertex in exact:
        assert abs(cv2.pointPolygonTest(loose, vertex.tolist(), measureDist=True)) <= 1.0001


def test_simplified_holes_stay_holes() -> None:
    (outline,) = made_result([MASKS["ring"]]).polygons(1)[0]
    filled = _filled([outline])
    assert (filled & MASKS["ring"]).sum() / (filled | MASKS["ring"]).sum() > 0.85
    assert not filled[30, 40]


def test_a_simplified_outline_has_no_seam() -> None:
    """The steps beside the topmost pixel, where outlines begin and end, are simplified like all others."""
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    triangle = np.abs(xx - 40) <= yy // 4
    (outline,) = made_result([triangle]).polygons(2)[0]
    assert len(outline) == 3


def test_simplifying_loses_no_segment() -> None:
    found = made_result(list(MASKS.values())).polygons(1000)
    for mask, outlines in zip(MASKS.values(), found, strict=True):
        assert bool(outlines) == mask.any()
        assert all(_area(outline) > 0 for outline in outlines)


def test_nothing_selected_has_no_polygons() -> None:
    assert made_result([]).polygons() == []


@pytest.mark.parametrize("simplify_px", [-1, float("nan"), float("inf")])
def test_invalid_tolerances_are_refused(simplify_px: float) -> None:
    for masks in ([], [MASKS["disc"]]):
        with pytest.raises(OptionError, match="simplify_px: expected a number of 0 or more"):
            made_result(masks).polygons(simplify_px)


def test_outlines_never_process_the_whole_frame() -> None:
    """A crop in a frame that is too large to be allocated."""
    crop = cut(MASKS["disc"])
    far = MaskCrop(1_000_000, 2_000_000, crop.pixels)
    near, moved = polygons([crop, far])
    shift = np.array([1_000_000 - crop.left, 2_000_000 - crop.top], np.float32)
    np.testing.assert_array_equal(moved[0], near[0] + shift)
