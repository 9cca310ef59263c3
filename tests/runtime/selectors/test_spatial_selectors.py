"""Box and point selectors compared with a plain reference that decodes every mask on the whole frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from fastsam_trt import Pipeline
from fastsam_trt.demo.scenes import draw_scene
from fastsam_trt.errors import MasksTooLargeError
from fastsam_trt.masks.cached import CachedMasks
from fastsam_trt.masks.mask_source import MaskCrop, paste
from fastsam_trt.prompts.regions import check_boxes, check_points
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.selectors import BoxSelector, CombinedSelector, PointSelector, Selection

HEIGHT, WIDTH = 60, 80
FRAME = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


class KeptMasks:
    """Prepared masks; records which were decoded."""

    def __init__(self, crops: list[MaskCrop]) -> None:
        self.crops = crops
        self.decoded: list[int] = []

    def __len__(self) -> int:
        return len(self.crops)

    def decode(self, indices: Iterable[int]) -> list[MaskCrop]:
        wanted = list(indices)
        self.decoded += wanted
        return [self.crops[index] for index in wanted]

    def coarse(self, index: int, window: np.ndarray, size_px: int) -> np.ndarray:
        raise AssertionError("a selector by place needs masks at full resolution")


def _segments(boxes: Sequence[Sequence[float]], density: float = 1.0, seed: int = 0) -> tuple[Segments, KeptMasks]:
    """Segments whose masks fill a random fraction of their boxes."""
    generator = np.random.default_rng(seed)
    crops = []
    for x0, y0, x1, y1 in np.ceil(np.reshape(boxes, (-1, 4))).astype(int).tolist():
        crops.append(MaskCrop(x0, y0, generator.random((y1 - y0, x1 - x0)) < density))
    masks = KeptMasks(crops)
    n = len(crops)
    edges = np.reshape(boxes, (-1, 4)).astype(np.float32)
    return Segments(edges, np.linspace(1, 0.5, n, dtype=np.float32), np.arange(n, dtype=np.int32) % 3, masks), masks


def _best_of_each(masks: np.ndarray, boxes: np.ndarray) -> list[int]:
    """For every box the first mask with the highest IoU above zero, computed on whole masks."""
    _, height, width = masks.shape
    rows, columns = np.mgrid[:height, :width]
    best = set()
    for x0, y0, x1, y1 in boxes:
        inside = (columns + 1 > x0) & (columns < x1) & (rows + 1 > y0) & (rows < y1)
        overlaps = [(mask & inside).sum() / (mask | inside).sum() for mask in masks]
        if overlaps and max(overlaps) > 0:
            best.add(int(np.argmax(overlaps)))
    return sorted(best)


def _under_any(masks: np.ndarray, points: np.ndarray) -> list[int]:
    return [i for i, mask in enumerate(masks) if any(mask[int(y), int(x)] for x, y in points)]


def _random_boxes(generator: np.random.Generator, n: int, *, margin: float = 0) -> np.ndarray:
    """Boxes that overlap the frame, some beyond its edge, with corners on half pixels."""
    corners = generator.uniform(-margin, [WIDTH + margin, HEIGHT + margin], (n, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    boxes = np.round(boxes * 2) / 2
    boxes[:, :2] = np.minimum(boxes[:, :2], [WIDTH - 1, HEIGHT - 1])
    boxes[:, 2:] = np.maximum(boxes[:, 2:], np.maximum(boxes[:, :2], 0) + 1)
    return boxes


@pytest.mark.parametrize("seed", range(40))
def test_boxes_and_points_select_what_whole_masks_select(seed: int) -> None:
    generator = np.random.default_rng(seed)
    placed = _random_boxes(generator, int(generator.integers(0, 14)))
    segments, masks = _segments(placed.clip(0, [WIDTH, HEIGHT] * 2).tolist(), generator.choice([0.0, 0.3, 1.0]), seed)
    whole = paste(masks.crops, HEIGHT, WIDTH)
    boxes = check_boxes(_random_boxes(generator, 3, margin=15))
    assert BoxSelector(boxes).select(FRAME, segments).indices.tolist() == _best_of_each(whole, boxes)
    points = check_points(generator.uniform(0, [WIDTH, HEIGHT], (3, 2)))
    found = PointSelector(points).select(FRAME, segments)
    assert found.indices.tolist() == _under_any(whole, points)
    assert (found.prompt_ids == -1).all()
    assert np.isnan(found.similarities).all()


def test_boxes_and_points_select_what_whole_masks_select_of_a_real_model() -> None:
    generator = np.random.default_rng(5)
    pipe = Pipeline("demo-seg", conf=0.1, iou=0.9)
    for seed in range(3):
        frame = draw_scene(900 + seed, 240, 320, items=(12, 16), radius_px=(20, 70)).frame
        result = pipe(frame)
        whole = result.masks()
        assert len(whole) > 8
        corners = generator.integers(0, [320, 240], (6, 2, 2))
        boxes = check_boxes(np.concatenate([corners.min(axis=1), corners.max(axis=1) + 4], axis=1))
        found = BoxSelector(boxes).select(frame, result.segments).indices.tolist()
        assert found == _best_of_each(whole, boxes)
        assert len(found) > 1
        points = check_points(generator.uniform(0, [320, 240], (6, 2)))
        assert PointSelector(points).select(frame, result.segments).indices.tolist() == _under_any(whole, points)


def test_only_masks_that_can_win_a_box_are_decoded() -> None:
    apart = [[x, y, x + 10, y + 10] for y in (0, 20, 40) for x in (0, 20, 40, 60)]
    segments, masks = _segments(apart)
    selector = BoxSelector(check_boxes([[21, 1, 30, 10], [60, 40, 72, 52]]))
    assert selector.select(FRAME, segments).indices.tolist() == [1, 11]
    assert sorted(masks.decoded) == [1, 11]
    # The first fills 0.9 of the prompt; the second's box covers 0.85 of it, the third's nothing: neither can win.
    segments, masks = _segments([[10, 10, 30, 19], [10, 10, 27, 20], [50, 50, 60, 60]])
    assert BoxSelector(check_boxes([[10, 10, 30, 20]])).select(FRAME, segments).indices.tolist() == [0]
    assert masks.decoded == [0]


def test_a_mask_that_is_sparse_in_its_box_loses_to_a_fuller_one() -> None:
    segments, masks = _segments([[0, 0, 40, 40], [2, 2, 38, 30]])
    masks.crops[0].pixels[1:] = False
    assert BoxSelector(check_boxes([[0, 0, 40, 40]])).select(FRAME, segments).indices.tolist() == [1]
    assert masks.decoded == [0, 1]


def test_the_first_of_equal_masks_wins_a_box() -> None:
    segments, masks = _segments([[0, 0, 30, 30], [5, 5, 20, 20], [5, 5, 20, 20]])
    masks.crops[0].pixels[:] = False
    assert BoxSelector(check_boxes([[5, 5, 20, 20]])).select(FRAME, segments).indices.tolist() == [1]
    # Equal IoU with unequal bounds: both masks fill half of the prompt, and the second box covers more of it.
    segments, masks = _segments([[0, 0, 10, 10], [5, 0, 30, 10]])
    masks.crops[1].pixels[:, 10:] = False
    assert BoxSelector(check_boxes([[0, 0, 20, 10]])).select(FRAME, segments).indices.tolist() == [0]


def test_boxes_that_overlap_no_mask_select_nothing() -> None:
    segments, masks = _segments([[0, 0, 10, 10], [20, 20, 40, 40]])
    masks.crops[1].pixels[5:] = False
    found = BoxSelector(check_boxes([[60, 50, 70, 60], [21, 30, 39, 39]])).select(FRAME, segments)
    assert found.indices.tolist() == []
    assert found.indices.dtype == np.intp


def test_only_masks_whose_box_contains_a_point_are_decoded() -> None:
    beside = [[0, 0, 10, 10], [60, 0, 70, 10], [25, 25, 35, 45], [25, 25, 45, 33], [36, 25, 45, 45], [25, 34, 45, 45]]
    segments, masks = _segments([[0, 0, 10, 10], [20, 20, 40, 40], [30, 30, 50, 50], *beside])
    masks.crops[2].pixels[:5] = False
    assert PointSelector(check_points([[35, 33], [79, 59]])).select(FRAME, segments).indices.tolist() == [1]
    assert masks.decoded == [1, 2]


@pytest.mark.parametrize(("x", "y", "held"), [(10, 10, True), (19.9, 19.9, True), (20, 10, False), (9.9, 15, False)])
def test_a_point_belongs_to_the_pixel_around_it(x: float, y: float, held: bool) -> None:
    segments, _ = _segments([[10, 10, 20, 20]])
    assert (len(PointSelector(check_points([[x, y]])).select(FRAME, segments).indices) == 1) == held


def test_masks_are_decoded_once() -> None:
    _, masks = _segments([[0, 0, 10, 10], [20, 20, 40, 40], [30, 30, 50, 50]])
    cached = CachedMasks(masks)
    assert len(cached) == 3
    assert cached.decode([2, 0, 2]) == [masks.crops[2], masks.crops[0], masks.crops[2]]
    assert cached.decode(range(3)) == masks.crops
    assert cached.decode([]) == []
    assert masks.decoded == [2, 0, 1]


def test_masks_have_a_limit_that_is_checked_while_they_are_decoded() -> None:
    _, masks = _segments([[0, 0, 10, 10]] * 40)
    assert len(CachedMasks(masks, 40 * 100).decode(range(40))) == 40
    _, masks = _segments([[0, 0, 10, 10]] * 40)
    limited = CachedMasks(masks, 500)
    assert len(limited.decode([3, 7])) == 2
    with pytest.raises(MasksTooLargeError, match=r"at most 0\.0005 million pixels together, found more in 10 segments"):
        limited.decode(range(40))
    assert len(masks.decoded) == 10  # the others were not


class Fixed:
    """Selects fixed segments; records which boxes it saw."""

    def __init__(self, indices: list[int], prompt_ids: list[int] | None = None, similarity: float = np.nan) -> None:
        self.selection = Selection(
            np.array(indices, np.intp),
            np.array([-1] * len(indices) if prompt_ids is None else prompt_ids, np.int32),
            np.full(len(indices), similarity, np.float32),
        )
        self.shown: list[list[float]] = []

    def select(self, frame: np.ndarray, segments: Segments) -> Selection:
        self.shown = segments.boxes.tolist()
        return self.selection


def test_a_union_lists_every_segment_once_with_its_prompt() -> None:
    segments, _ = _segments([[10 * i, 0, 10 * i + 10, 10] for i in range(6)])
    texts, regions = Fixed([1, 4], [0, 2], 0.75), Fixed([0, 1, 5])
    for order in ([texts, regions], [regions, texts]):
        found = CombinedSelector(order).select(FRAME, segments)
        assert found.indices.tolist() == [0, 1, 4, 5]
        assert found.prompt_ids.tolist() == [-1, 0, 2, -1]
        np.testing.assert_array_equal(found.similarities, np.array([np.nan, 0.75, 0.75, np.nan], np.float32))


def test_exclusions_see_selected_segments_and_remove_them() -> None:
    segments, _ = _segments([[10 * i, 0, 10 * i + 10, 10] for i in range(6)])  # of classes 0 1 2 0 1 2
    boxes = segments.boxes.tolist()
    wanted = Fixed([0, 2, 3], [0, -1, 1], 0.5)  # indices without class 1: segments 0, 3, 5
    wanted.selection.similarities[1:] = np.nan
    by_clip, by_point = Fixed([1]), Fixed([0])
    selector = CombinedSelector([wanted], excluded_classes=[1], clip_exclusions=by_clip, exclusions=by_point)
    found = selector.select(FRAME, segments)
    assert wanted.shown == [boxes[i] for i in (0, 2, 3, 5)]
    assert by_clip.shown == [boxes[i] for i in (3, 5)]  # CLIP selected the first
    assert by_point.shown == [boxes[i] for i in (0, 3)]
    assert found.indices.tolist() == [3]
    assert found.prompt_ids.tolist() == [-1]


def test_masks_of_a_subset_belong_to_their_segments() -> None:
    segments, masks = _segments([[10 * i, 0, 10 * i + 10, 10] for i in range(6)])
    subset = segments.take(np.array([4, 1])).take(np.array([1]))
    assert len(subset) == len(subset.masks) == 1
    assert subset.masks.decode([0]) == [masks.crops[1]]
    assert subset.boxes.tolist() == [segments.boxes[1].tolist()]
    assert subset.class_ids.tolist() == [1]
