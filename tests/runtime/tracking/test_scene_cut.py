"""SceneCutDetector: cuts differ from motion, light and flashes, and tracks end at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from fastsam_trt import Pipeline
from fastsam_trt.sources.demo_video import DemoVideo
from fastsam_trt.tracking import Tracker
from fastsam_trt.tracking.scene_cut import SceneCutDetector
from support.colour_models import scene as colour_scene
from support.drawn_frames import (
    BOXES,
    CHANGES_OF_LIGHT,
    COLOURS,
    HEIGHT,
    WIDTH,
    background,
    drawn,
    noisy,
)
from support.made_tracks import segments_of


def follow(*frames: np.ndarray, times_s: Sequence[float] | None = None) -> list[str]:
    watched = SceneCutDetector()
    times: Sequence[float | None] = [None] * len(frames) if times_s is None else times_s
    return [watched.update(frame, at) for frame, at in zip(frames, times, strict=True)]


def test_scenes_of_similar_colours_are_cuts() -> None:
    found = follow(*[noisy(background(seed), i) for seed in (1, 2, 3) for i in range(3)])
    assert found == ["same"] * 3 + (["cut"] + ["same"] * 2) * 2


def test_pans_light_and_fades_are_no_cuts() -> None:
    wide = background(5, 400, 2400)
    assert set(follow(*[wide[:240, 30 * i : 30 * i + 320] for i in range(40)])) == {"same"}
    shown = drawn(*COLOURS)
    for what, changed in CHANGES_OF_LIGHT.items():
        assert set(follow(*[changed(shown, i) for i in range(30)])) == {"same"}, what
    fade = [(shown * (i / 20)).astype(np.uint8) for i in range(20, 2, -1)]
    assert set(follow(*fade)) == {"same"}
    assert set(follow(*[np.zeros_like(shown)] * 3)) == {"same"}
    assert set(follow(drawn(*COLOURS), drawn(*COLOURS[::-1]))) == {"same"}  # changing objects are no cut


def test_a_scene_is_back_after_a_flash() -> None:
    shown, white = drawn(*COLOURS), np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    assert follow(shown, shown, white, shown) == ["same", "same", "cut", "back"]
    assert follow(shown, white, white, white, shown)[-1] == "back"
    assert follow(shown, *[white] * 8, shown)[-1] == "cut"


def test_another_frame_size_and_a_gap_in_time_are_cuts() -> None:
    shown = drawn(*COLOURS)
    assert follow(shown, cv2.resize(shown, (640, 480))) == ["same", "cut"]
    steady = [i / 25 for i in range(10)]
    assert follow(*[shown] * 12, times_s=[*steady, 5.0, 5.04]) == ["same"] * 10 + ["cut", "same"]
    assert set(follow(*[shown] * 4, times_s=[0.0, 10.0, 20.0, 30.0])[2:]) == {"same"}  # a slow source has no gaps
    assert set(follow(*[shown] * 3, times_s=[5.0, 1.0, 1.1])) == {"same"}


def test_tracks_end_at_a_cut_and_continue_after_a_flash() -> None:
    here, there = drawn(*COLOURS), drawn(*COLOURS, behind=background(9))
    white = np.full_like(here, 255)
    tracker, segments = Tracker(), segments_of(*BOXES)
    for i in range(5):
        assert tracker.update(segments, noisy(here, i)).tolist() == [0, 1, 2]
    assert tracker.update(segments, there).tolist() == [3, 4, 5]
    assert tracker.update(segments, noisy(there, 1)).tolist() == [3, 4, 5]
    assert tracker.update(segments_of(*BOXES[:1]), white).tolist() == [6]
    assert tracker.update(segments, noisy(there, 2)).tolist() == [3, 4, 5]


def test_objects_after_a_cut_share_no_track_with_those_before() -> None:
    pipe = Pipeline("demo-seg", clip="demo-clip", prompts=["red circle"], track=True)
    first, second = (DemoVideo(seed=seed).scene(10).frame for seed in (7, 31))
    for _ in range(4):
        before = pipe(first)
    after = pipe(second)
    assert not set(before.segments.track_ids.tolist()) & set(after.segments.track_ids.tolist())
    assert after.crops_embedded == len(after.segments)
    plain = Pipeline("demo-seg", clip="demo-clip", prompts=["red circle"])(second)
    np.testing.assert_array_equal(after.boxes, plain.boxes)


@pytest.mark.parametrize("clock", ["media_s", "captured_s"])
def test_tracks_end_over_a_gap_in_time(clock: str) -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"], track=True)
    frame = colour_scene(("red", 1, 1), ("green", 1, 5))
    clocks: list[dict[str, Any]] = [{clock: at_s} for at_s in (0.0, 0.04, 0.08, 9.0, 9.04)]
    ids = [pipe(frame, **at).segments.track_ids.tolist() for at in clocks]
    assert ids[0] == ids[1] == ids[2]
    assert ids[3] == ids[4]
    assert not set(ids[2]) & set(ids[3])
