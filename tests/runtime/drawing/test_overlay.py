"""Overlays: what is drawn of which segments, and labels that never cover each other, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest

from fastsam_trt.drawing import overlay
from fastsam_trt.drawing.labels import Label
from fastsam_trt.drawing.overlay import Annotations, draw_overlay, largest_first, tint
from fastsam_trt.drawing.palette import palette
from fastsam_trt.drawing.style import DrawStyle
from fastsam_trt.masks.mask_source import MaskCrop, paste
from support.made_results import cut

BARE = DrawStyle(draw=("masks",))


def _annotations(
    masks: Sequence[np.ndarray], labels: Sequence[tuple[str, ...]] | None = None, **more: Any
) -> Annotations:
    crops = [cut(mask) for mask in masks]
    boxes = [(c.left, c.top, c.left + c.pixels.shape[1], c.top + c.pixels.shape[0]) for c in crops]
    values = {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "crops": crops,
        "labels": [("cat", "0.90")] * len(masks) if labels is None else labels,
        "colours": palette(range(len(masks))),
        "track_ids": [-1] * len(masks),
    }
    return Annotations(**{**values, **more})


@cache
def _ellipses(count: int, size: tuple[int, int]) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    masks = []
    for _ in range(count):
        mask = np.zeros(size, np.uint8)
        y, x = generator.uniform(0, size).astype(int).tolist()
        high, wide = np.ceil(generator.uniform(0.01, 0.25, 2) * size).astype(int).tolist()
        cv2.ellipse(mask, (x, y), (wide, high), 0, 0, 360, 1, cv2.FILLED)
        masks.append(mask.astype(bool))
    return masks


class Recorded:
    """The rectangles of the labels that are drawn."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.rects: list[tuple[int, int, int, int]] = []
        draw = Label.draw

        def record(label: Label, image: np.ndarray, left: int, top: int, ground: tuple[int, int, int]) -> None:
            self.rects.append((left, top, left + label.width, top + label.height))
            draw(label, image, left, top, ground)

        patch.setattr(Label, "draw", record)

    def overlaps(self) -> int:
        pairs = [(a, b) for i, a in enumerate(self.rects) for b in self.rects[:i]]
        return sum(max(a[0], b[0]) < min(a[2], b[2]) and max(a[1], b[1]) < min(a[3], b[3]) for a, b in pairs)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    return Recorded(monkeypatch)


@pytest.mark.parametrize("size", [(540, 960), (150, 200), (1600, 400), (64, 64)])
@pytest.mark.parametrize("draw", [None, ("boxes", "labels", "scores"), ("masks", "boxes", "labels"), ("scores",)])
def test_labels_never_cover_each_other_nor_leave_the_frame(
    recorded: Recorded, size: tuple[int, int], draw: Any
) -> None:
    masks = _ellipses(60, size)
    labels = [(f"a thing with number {i} in its name", f"0.{i:02}", f"#{i}")[i % 3 :] for i in range(len(masks))]
    frame = np.full((*size, 3), 90, np.uint8)
    image, _ = draw_overlay(frame, _annotations(masks, labels), DrawStyle(draw=draw))
    assert image.shape == frame.shape
    assert (frame == 90).all()
    assert not recorded.overlaps()
    for left, top, right, bottom in recorded.rects:
        assert 0 <= left < right <= size[1]
        assert 0 <= top < bottom <= size[0]
    assert len(recorded.rects) > (40 if size == (540, 960) else 0)


def test_the_most_important_labels_are_kept_where_there_is_no_room_for_all(recorded: Recorded) -> None:
    mask = np.zeros((120, 160), bool)
    mask[50:70, 70:90] = True
    draw_overlay(np.zeros((120, 160, 3), np.uint8), _annotations([mask] * 60), DrawStyle())
    count = len(recorded.rects)
    assert 5 < count < 60
    first = recorded.rects[0]
    recorded.rects.clear()
    draw_overlay(np.zeros((120, 160, 3), np.uint8), _annotations([mask]), DrawStyle(text_size=20))
    assert recorded.rects[0][:2] == pytest.approx(first[:2], abs=20)


def test_labels_are_smaller_where_there_are_many(recorded: Recorded) -> None:
    heights = []
    for count in (3, 80):
        masks = _ellipses(count, (540, 960))
        recorded.rects.clear()
        draw_overlay(np.zeros((540, 960, 3), np.uint8), _annotations(masks), DrawStyle())
        heights.append(max(bottom - top for _, top, _, bottom in recorded.rects))
    assert heights[1] < heights[0]


def test_tint_changes_only_the_mask_and_its_outline() -> None:
    frame = np.full((120, 160, 3), 100, np.uint8)
    pixels = np.zeros((60, 80), np.bool_)
    pixels[10:50, 10:70] = True
    image = tint(frame, [MaskCrop(40, 20, pixels)], [(200, 0, 100)])
    assert (frame == 100).all()
    assert image[50, 80].tolist() == [140, 60, 100]
    far = np.ones((120, 160), bool)
    far[27:73, 47:113] = False
    assert (image[far] == 100).all()


def test_small_masks_are_drawn_over_large_ones_whatever_their_order() -> None:
    small, large = np.zeros((2, 200, 200), bool)
    small[90:110, 90:110] = True
    large[20:180, 20:180] = True
    frame = np.zeros((200, 200, 3), np.uint8)
    one, _ = draw_overlay(frame, _annotations([small, large]), BARE)
    other, _ = draw_overlay(frame, _annotations([large, small], colours=palette([1, 0])), BARE)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(one[100, 100], np.array(palette([0])[0]) * 0.4, atol=1)
    assert largest_first([cut(small), cut(large)]) == [1, 0]


def test_masks_without_pixels_draw_nothing() -> None:
    frame = np.full((40, 40, 3), 100, np.uint8)
    crops = [MaskCrop(3, 3, np.zeros((0, 5), np.bool_)), MaskCrop(3, 3, np.zeros((4, 5), np.bool_))]
    np.testing.assert_array_equal(tint(frame, crops, [(1, 2, 3)] * 2), frame)


def test_each_element_draws_its_own() -> None:
    mask = np.zeros((200, 300), bool)
    mask[60:140, 80:220] = True
    mask[60:100, 80:150] = False
    frame = np.zeros((200, 300, 3), np.uint8)

    def changed(*draw: Any, labels: tuple[str, ...] = ()) -> np.ndarray:
        image, _ = draw_overlay(frame, _annotations([mask], [labels]), DrawStyle(draw=draw))
        return np.asarray(image.any(axis=2))

    masks, boxes = changed("masks"), changed("boxes")
    assert masks[120, 150]
    assert not masks[75, 100]
    assert not boxes[75, 100]
    assert boxes[60, 81:219].all()
    assert boxes[61:139, 219].all()
    np.testing.assert_array_equal(changed("masks", "boxes"), masks | boxes)
    only_label = changed("labels", labels=("cat",))
    assert 0 < only_label.sum() < 2500
    assert mask[only_label].mean() > 0.9


def test_without_a_line_width_there_are_no_outlines_and_no_boxes() -> None:
    mask = np.zeros((100, 100), bool)
    mask[30:70, 30:70] = True
    frame = np.zeros((100, 100, 3), np.uint8)
    style = DrawStyle(draw=("masks", "boxes"), line_width=0)
    image, _ = draw_overlay(frame, _annotations([mask], [()], colours=[(0, 0, 200)]), style)
    assert image.max() <= 81  # 0.4 of 200
    assert not image[..., :2].any()


def test_a_picture_of_another_size_is_drawn_at_that_size(recorded: Recorded) -> None:
    mask = np.zeros((400, 600), bool)
    mask[100:300, 150:450] = True
    frame = np.full((400, 600, 3), 50, np.uint8)
    image, _ = draw_overlay(frame, _annotations([mask]), DrawStyle(), (800, 1200))
    assert image.shape == (800, 1200, 3)
    assert (image[:150] == 50).all()
    assert (image[500, 320] != 50).any()
    (rect,) = recorded.rects
    assert 300 < rect[0] < rect[2] < 900


def test_labels_of_tracks_move_with_them() -> None:
    def frame(x: int, y: int, before: Any) -> Any:
        mask = np.zeros((540, 960), bool)
        mask[y : y + 200, x : x + 300] = True
        mask[y : y + 60, x + 240 : x + 300 + y % 7] = True
        return draw_overlay(
            np.zeros((540, 960, 3), np.uint8), _annotations([mask], track_ids=[7]), DrawStyle(), None, before
        )[1]

    spots = frame(100, 100, {})
    assert set(spots) == {7}
    for step in range(1, 10):
        moved = frame(100 + 20 * step, 100 + 11 * step, spots)
        assert moved[7].x == pytest.approx(spots[7].x, abs=0.02)
        assert moved[7].y == pytest.approx(spots[7].y, abs=0.02)
        spots = moved
    assert frame(100, 100, None)[7] is not None
    _, none = draw_overlay(np.zeros((540, 960, 3), np.uint8), _annotations([]), DrawStyle(), None, spots)
    assert none == {}


def test_nothing_is_drawn_of_no_segments_and_of_those_without_words() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)
    for made in (_annotations([]), _annotations([np.zeros((80, 90), bool)])):
        labels = [()] * len(made.labels)
        image, _ = draw_overlay(frame, replace(made, labels=labels), DrawStyle())
        np.testing.assert_array_equal(image, frame)
        assert image is not frame


def test_the_largest_masks_of_any_frame_are_drawn_whole() -> None:
    frame = np.zeros((3, 500, 3), np.uint8)
    mask = np.ones((3, 500), bool)
    image, _ = draw_overlay(frame, _annotations([mask]), DrawStyle())
    assert image.any(axis=2).all()
    assert paste([cut(mask)], 3, 500).all()
    assert overlay.tint(frame, [cut(mask)], [(9, 9, 9)]).any()
