"""Drawn scenes: reproducible, with masks that match the painted pixels."""

from __future__ import annotations

import numpy as np
import pytest

from fastsam_trt import open_source
from fastsam_trt.demo import ALL_PAIRS, COLOURS, HELD_OUT_PAIRS, SHAPES, Item, draw_scene
from fastsam_trt.demo.scenes import Look, compose
from fastsam_trt.demo.shapes import coverage, outline
from fastsam_trt.sources.demo_video import DemoVideo

PLAIN = Look(np.ones((80, 100), np.float32), np.zeros((80, 100), np.int16), 0.0)
GREY = np.full((80, 100, 3), 128, np.uint8)


def test_there_are_enough_colours_and_shapes() -> None:
    assert len(COLOURS) >= 8
    assert len(SHAPES) >= 8
    assert len(ALL_PAIRS) == len(COLOURS) * len(SHAPES)
    assert {colour for colour, _ in HELD_OUT_PAIRS} == set(COLOURS)
    assert {shape for _, shape in HELD_OUT_PAIRS} == set(SHAPES)


def test_a_seed_gives_the_same_scene() -> None:
    first, again, other = draw_scene(3), draw_scene(3), draw_scene(4)
    np.testing.assert_array_equal(first.frame, again.frame)
    np.testing.assert_array_equal(first.masks, again.masks)
    assert first.items == again.items
    assert (first.frame != other.frame).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_masks_match_the_painted_pixels(shape: str) -> None:
    item = Item("red", shape, 50.3, 40.6, 25, 0.7)
    scene = compose(GREY, [item], PLAIN)
    painted = np.abs(scene.frame.astype(int) - 128).max(axis=2)
    full = np.abs(np.array(item.bgr) - 128).max()
    clear = np.abs(painted - full / 2) > 1  # half-covered pixels may go either way
    np.testing.assert_array_equal(scene.masks[0][clear], (painted > full / 2)[clear])
    assert scene.visible[0] == pytest.approx(1, abs=0.02)
    assert 200 < scene.masks[0].sum() < np.pi * 25**2


def test_shapes_stay_inside_their_radius_and_have_their_area() -> None:
    areas = {
        "circle": np.pi * 0.81,
        "square": 1.96,
        "ring": np.pi * (0.95**2 - 0.52**2),
        "triangle": 3 * np.sqrt(3) / 4,
    }
    for shape in SHAPES:
        assert max(np.hypot(*line.T).max() for line in outline(shape)) <= 1.01, shape
        covered = coverage(Item("red", shape, 100, 100, 60), 200, 200)[2]
        if shape in areas:
            assert covered.sum() / 60**2 == pytest.approx(areas[shape], rel=0.02), shape


def test_items_in_front_hide_those_behind() -> None:
    back, front = Item("red", "square", 50, 40, 20), Item("blue", "square", 56, 40, 20)
    scene = compose(GREY, [back, front], PLAIN)
    assert not (scene.masks[0] & scene.masks[1]).any()
    assert scene.visible[0] == pytest.approx(6 / 28, abs=0.05)
    assert scene.visible[1] == pytest.approx(1, abs=0.03)
    assert (scene.frame[40, 60] == front.bgr).all()


def test_items_outside_the_frame_are_less_visible() -> None:
    half, gone = Item("red", "circle", 0, 40, 20), Item("red", "circle", -50, 40, 20)
    scene = compose(GREY, [half, gone], PLAIN)
    assert scene.visible[0] == pytest.approx(0.5, abs=0.06)
    assert scene.visible[1] == 0
    assert not scene.masks[1].any()


def test_scenes_vary_and_masks_never_overlap() -> None:
    scenes = [draw_scene(seed, 180, 320) for seed in range(30)]
    for scene in scenes:
        assert scene.frame.shape == (180, 320, 3)
        assert (scene.masks.sum(axis=0) <= 1).all()
        assert ((scene.visible >= 0) & (scene.visible <= 1.05)).all()
    assert len({item.shape for scene in scenes for item in scene.items}) == len(SHAPES)
    assert len({item.colour for scene in scenes for item in scene.items}) == len(COLOURS)


def test_the_demo_video_has_items_that_leave_and_return() -> None:
    with open_source("demo", vid_stride=60) as source:
        assert (source.kind, source.frames, source.fps) == ("video", 5, 0.5)
        frames = list(source)
    assert [frame.index for frame in frames] == [0, 60, 120, 180, 240]
    assert all(frame.image.shape == (360, 640, 3) for frame in frames)
    video = DemoVideo()
    np.testing.assert_array_equal(video.scene(60).frame, frames[1].image)
    scenes = [video.scene(i) for i in range(0, 300, 10)]
    assert (scenes[0].items[0].colour, scenes[0].items[0].shape) == ("red", "circle")
    visible = np.array([scene.visible for scene in scenes])
    away = visible < 0.01
    assert away.any(axis=0).sum() >= 2  # some leave
    returned = [np.diff(column.astype(int)).min() < 0 for column in away.T]
    assert sum(returned) >= 2  # and return
    assert ((visible > 0.05) & (visible < 0.8)).any(axis=0).sum() >= 4  # some occlude each other or cross the edge
