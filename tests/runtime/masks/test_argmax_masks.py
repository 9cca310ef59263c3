"""Argmax masks and panoptic merging, compared with plain code on whole frames."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from fastsam_engine.spec.yolo_seg import letterbox_input
from fastsam_trt.frames.letterbox import fit
from fastsam_trt.masks.argmax import ArgmaxMasks, leading_planes
from fastsam_trt.masks.map_to_frame import MapToFrame
from fastsam_trt.masks.mask_source import bounds, paste
from fastsam_trt.segmentation import panoptic_merge


def _planes(count: int, height: int, width: int, seed: int, coarse: int = 5) -> np.ndarray:
    """Smooth random maps, (count, height, width) float32."""
    noise = np.random.default_rng(seed).normal(0, 3, (count, coarse, coarse)).astype(np.float32)
    return np.stack([cv2.resize(each, (width, height), interpolation=cv2.INTER_CUBIC) for each in noise])


def _stretch(frame: tuple[int, int], cells: tuple[int, int]) -> MapToFrame:
    image = letterbox_input(cells[0] * 4, cells[1] * 4, size_multiple=None, batch=(1, 1))
    return MapToFrame(fit(*frame, dataclasses.replace(image, resize="stretch")), *cells)


def _whole(planes: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
    return np.stack([cv2.resize(plane, frame[::-1], interpolation=cv2.INTER_LINEAR) for plane in planes])


@pytest.mark.parametrize("frame", [(300, 400), (47, 390), (24, 32), (11, 9)])
def test_masks_equal_the_argmax_of_the_whole_frame(frame: tuple[int, int]) -> None:
    planes = _planes(9, 24, 32, seed=1)
    resize = _stretch(frame, (24, 32))
    leaders = planes.argmax(axis=0)
    owners = np.unique(leaders)
    cells = np.array([bounds(leaders == owner) for owner in owners])
    masks = ArgmaxMasks(planes, leaders, owners, cells, resize)
    found = paste(masks.decode(range(len(owners))), *frame)
    expected = _whole(planes, frame).argmax(axis=0)
    differing = (found != (expected[None] == owners[:, None, None])).any(axis=0).mean()
    # A plane may be highest between cells that it does not lead, and sums of floats differ in ties.
    assert differing < 0.002
    assert (found.sum(axis=0) <= 1).all()


def test_only_requested_masks_are_decoded() -> None:
    planes = _planes(6, 24, 32, seed=2)
    resize = _stretch((600, 800), (24, 32))
    leaders = planes.argmax(axis=0)
    owners = np.unique(leaders)
    cells = np.array([bounds(leaders == owner) for owner in owners])
    every = ArgmaxMasks(planes, leaders, owners, cells, resize).decode(range(len(owners)))
    for index in range(len(owners)):
        alone = ArgmaxMasks(planes, leaders, owners, cells, resize).decode([index])[0]
        assert (alone.left, alone.top) == (every[index].left, every[index].top)
        np.testing.assert_array_equal(alone.pixels, every[index].pixels)


def test_masks_are_inside_their_windows() -> None:
    planes = _planes(7, 20, 30, seed=3)
    resize = _stretch((333, 500), (20, 30))
    leaders = planes.argmax(axis=0)
    owners = np.unique(leaders)
    cells = np.array([bounds(leaders == owner) for owner in owners])
    masks = ArgmaxMasks(planes, leaders, owners, cells, resize)
    whole = _whole(planes, (333, 500)).argmax(axis=0)
    for (x0, y0, x1, y1), owner in zip(masks.windows.tolist(), owners, strict=True):
        inside = np.zeros(whole.shape, np.bool_)
        inside[y0:y1, x0:x1] = True
        # Pixels beyond them, between cells that other planes lead, are cut off.
        assert ((whole == owner) & ~inside).sum() <= 0.02 * (whole == owner).sum()


def test_coarse_masks_are_the_decoded_ones_at_low_resolution() -> None:
    planes = _planes(6, 24, 32, seed=2)
    leaders = planes.argmax(axis=0)
    owners = np.unique(leaders)
    cells = np.array([bounds(leaders == owner) for owner in owners])
    masks = ArgmaxMasks(planes, leaders, owners, cells, _stretch((600, 800), (24, 32)))
    window = np.array([100, 50, 500, 450], np.float64)
    whole = paste(masks.decode(range(len(owners))), 600, 800)[:, 50:450, 100:500]
    for index, mask in enumerate(whole):
        expected = cv2.resize(mask.astype(np.float32), (40, 40), interpolation=cv2.INTER_AREA) >= 0.5
        assert (masks.coarse(index, window, 40) == expected).mean() > 0.95


def _plain_merge(
    probabilities: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, frame: tuple[int, int]
) -> list[tuple[int, float, np.ndarray]]:
    """The merging of the reference, on whole frames."""
    weighted = _whole(probabilities, frame) * scores[:, None, None]
    labels = weighted.argmax(axis=0)
    kept = []
    for query in range(len(scores)):
        area, own = (labels == query).sum(), (weighted[query] >= 0.5).sum()
        if area > 0 and own > 0 and area / own > 0.8:
            kept.append((int(class_ids[query]), float(scores[query]), labels == query))
    return kept


def _queries(seed: int) -> tuple[np.ndarray, panoptic_merge.Queries]:
    generator = np.random.default_rng(seed)
    scores = generator.uniform(0.55, 0.99, 14).astype(np.float32)
    class_ids = generator.integers(0, 5, 14).astype(np.int32)
    queries = panoptic_merge.Queries(np.arange(14), scores, class_ids)
    return panoptic_merge.sigmoid(_planes(14, 96, 128, seed) - 2), queries


@pytest.mark.parametrize("seed", range(12))
def test_merging_equals_the_reference(seed: int) -> None:
    frame = (270, 330)
    probabilities, queries = _queries(seed)
    expected = _plain_merge(probabilities, queries.scores, queries.class_ids, frame)
    found = panoptic_merge.merge(probabilities.copy(), queries, _stretch(frame, (96, 128)), None)
    masks = paste(found.masks.decode(range(len(found))), *frame)
    assert sorted(found.class_ids.tolist()) == sorted(class_id for class_id, _, _ in expected)
    assert (np.diff(found.scores) <= 0).all()
    for class_id, score, mask in expected:
        (match,) = np.flatnonzero((found.class_ids == class_id) & np.isclose(found.scores, score))
        assert (mask & masks[match]).sum() / (mask | masks[match]).sum() >= 0.98


def test_the_seeds_above_are_not_trivial() -> None:
    counts = []
    for seed in range(12):
        probabilities, queries = _queries(seed)
        counts.append(len(_plain_merge(probabilities, queries.scores, queries.class_ids, (270, 330))))
    assert sum(counts) >= 24
    assert sum(14 - count for count in counts) >= 24


def test_queries_are_chosen_by_score_and_must_have_an_object() -> None:
    logits = np.full((5, 4), -5, np.float32)
    logits[0, 1], logits[1, 3], logits[2, 0], logits[3, 2] = 3, 9, 6, -4.9
    found = panoptic_merge.choose_queries(logits, conf=0.5, most=10)
    assert found.indices.tolist() == [0, 2]
    assert found.class_ids.tolist() == [1, 0]
    assert panoptic_merge.choose_queries(logits, conf=0.5, most=1).indices.tolist() == [2]
    assert len(panoptic_merge.choose_queries(logits, conf=1.0, most=10)) == 0


def test_excluded_classes_still_compete_for_pixels() -> None:
    probabilities = panoptic_merge.sigmoid(_planes(8, 24, 32, 4, coarse=6) - 2)
    scores = np.linspace(0.6, 0.95, 8).astype(np.float32)
    queries = panoptic_merge.Queries(np.arange(8), scores, np.arange(8, dtype=np.int32))
    resize = _stretch((270, 330), (24, 32))
    everything = panoptic_merge.merge(probabilities.copy(), queries, resize, None)
    wanted = int(everything.class_ids[0])
    alone = panoptic_merge.merge(probabilities.copy(), queries, resize, (wanted,))
    assert alone.class_ids.tolist() == [wanted]
    np.testing.assert_array_equal(alone.masks.decode([0])[0].pixels, everything.masks.decode([0])[0].pixels)


def test_no_queries_give_no_segments() -> None:
    none = panoptic_merge.choose_queries(np.zeros((3, 4), np.float32), conf=0.5, most=10)
    found = panoptic_merge.merge(np.empty((0, 24, 32), np.float32), none, _stretch((270, 330), (24, 32)), None)
    assert len(found) == 0
    assert found.masks.decode([]) == []


def test_leading_planes_equal_argmax_with_ties() -> None:
    planes = np.random.default_rng(0).integers(0, 4, (9, 21, 34)).astype(np.float32) - 2
    everywhere = slice(0, 21), slice(0, 34)
    assert (leading_planes(planes, everywhere) == planes.argmax(axis=0)).all()
    assert (leading_planes(planes[:1], everywhere) == 0).all()
    inside = slice(3, 20), slice(0, 30)
    leaders = leading_planes(planes, inside)
    assert (leaders[inside] == planes[:, *inside].argmax(axis=0)).all()
    assert (leaders >= 0).sum() == 17 * 30
