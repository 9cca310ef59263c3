"""Appearance changes: objects that look different are embedded at once, and changes of light are none."""

from __future__ import annotations

import dataclasses
from typing import Literal

import cv2
import numpy as np
import pytest

from fastsam_trt import Pipeline
from fastsam_trt.clip.embedder import LatencyBudget
from fastsam_trt.clip.track_embedder import TrackEmbedder
from fastsam_trt.sources.demo_video import DemoVideo
from fastsam_trt.tracking import Tracker
from support.drawn_frames import (
    BOXES,
    CHANGES_OF_LIGHT,
    COLOURS,
    MeanColourClip,
    background,
    drawn,
    embed_frame,
    hue_turned,
    noisy,
    tracked_for_a_while,
)
from support.made_tracks import segments_of


@pytest.mark.parametrize("before", [20, 60])
@pytest.mark.parametrize("crop", ["box", "masked"])
def test_a_red_circle_that_turns_blue_is_not_selected_from_that_frame_on(
    before: int, crop: Literal["box", "masked"]
) -> None:
    red = DemoVideo().scene(10).frame
    pipe = Pipeline("demo-seg", clip="demo-clip", prompts=["red circle"], track=True, crop=crop)
    shown = pipe.segment(red)
    for _ in range(before):
        result = pipe.select(shown)
    assert len(result) == 1
    ids = set(result.segments.track_ids.tolist())
    result = pipe(hue_turned(red))
    assert len(result) == 0
    assert len(result.pending) == 0
    assert len(ids & set(result.segments.track_ids.tolist())) >= len(ids) - 1  # tracks go on
    assert len(pipe.select(shown)) == 1  # and back


NEW_COLOURS = {
    "another colour": (200, 40, 40),
    "a near colour": (30, 120, 220),
    "grey": (120, 120, 120),
    "dark": (8, 8, 50),
}


@pytest.mark.parametrize("change", NEW_COLOURS)
@pytest.mark.parametrize("masked", [False, True])
def test_a_changed_object_is_embedded_alone_and_at_once(change: str, masked: bool) -> None:
    clip = MeanColourClip()
    embedder = tracked_for_a_while(clip, drawn(*COLOURS), masked=masked)
    now = noisy(drawn(NEW_COLOURS[change], *COLOURS[1:]), 50)
    embedded = embed_frame(embedder, now)
    assert clip.seen == [20]
    unblended = MeanColourClip().embed_boxes(now, BOXES) * (-1 if masked else 1)
    np.testing.assert_allclose(embedded.vectors[0], unblended[0], atol=1e-6)
    assert embedded.known.all()
    clip.seen.clear()
    for i in range(5):
        embed_frame(embedder, noisy(now, i, 3))
    assert clip.seen == []


@pytest.mark.parametrize(("then", "now"), [((235, 235, 235), (20, 20, 20)), ((20, 20, 20), (235, 235, 235))])
def test_turning_from_white_to_black_and_back_is_a_change(then: tuple, now: tuple) -> None:
    clip = MeanColourClip()
    embedder = tracked_for_a_while(clip, drawn(*COLOURS[:2], then))
    embed_frame(embedder, noisy(drawn(*COLOURS[:2], now), 50))
    assert clip.seen == [220]


def test_a_traffic_light_that_turns_green_is_a_change() -> None:
    boxes = np.array([[100, 60, 140, 160]], np.float32)

    def signal(lamp: int, colour: tuple[int, int, int]) -> np.ndarray:
        frame = background()
        frame[60:160, 100:140] = 25
        for i in range(3):
            cv2.circle(frame, (120, 78 + 32 * i), 14, colour if i == lamp else (45, 45, 45), -1)
        return frame

    clip = MeanColourClip()
    embedder = TrackEmbedder(clip)
    for i in range(40):
        embed_frame(embedder, noisy(signal(0, (30, 30, 230)), i), boxes)
    clip.seen.clear()
    embed_frame(embedder, noisy(signal(2, (90, 230, 60)), 50), boxes)
    assert clip.seen == [100]


def test_a_slow_fade_is_a_change() -> None:
    clip = MeanColourClip()
    embedder = tracked_for_a_while(clip, drawn(*COLOURS), frames=120)
    for i in range(40):
        red, green, blue = (int(a + (b - a) * i / 39) for a, b in zip(COLOURS[0], (200, 40, 40), strict=True))
        embedded = embed_frame(embedder, noisy(drawn((red, green, blue), *COLOURS[1:]), i))
    shown = MeanColourClip().embed_boxes(drawn((200, 40, 40), *COLOURS[1:]), BOXES)[0]
    assert clip.seen.count(20) >= 2
    assert embedded.vectors[0] @ shown > 0.98


def test_a_blinking_lamp_is_followed() -> None:
    clip = MeanColourClip()
    lit = [noisy(drawn(colour, *COLOURS[1:]), 3) for colour in ((40, 40, 200), (200, 40, 40))]
    embedder = tracked_for_a_while(clip, lit[0])
    for i in range(80):
        frame = lit[i // 8 % 2]
        vector = embed_frame(embedder, frame).vectors[0]
        assert vector @ MeanColourClip().embed_boxes(frame, BOXES)[0] > 0.999
    assert clip.seen.count(20) <= 14


def test_two_selectors_share_the_crops_of_a_frame() -> None:
    clip = MeanColourClip()
    embedder = tracked_for_a_while(clip, drawn(*COLOURS))
    now, segments = drawn((200, 40, 40), *COLOURS[1:]), segments_of(*BOXES, ids=range(len(BOXES)))
    embedder.begin(segments)
    first, second = (
        embedder.embed(now, segments.take(np.array([0, 1]))),
        embedder.embed(now, segments.take(np.array([1, 0]))),
    )
    assert clip.seen == [20]
    np.testing.assert_array_equal(first.vectors, second.vectors[::-1])
    embedder.begin(segments)
    embedder.embed(drawn(*COLOURS), segments)
    embedder.embed(now, segments)  # a ranking of an earlier result
    assert clip.seen == [20, 20]


def test_a_changed_object_is_pending_within_a_budget_and_goes_before_refreshes() -> None:
    clip = MeanColourClip(crop_s=0.02)
    embedder = tracked_for_a_while(clip, drawn(*COLOURS), clock=clip.clock)
    for _ in range(3):
        embed_frame(embedder, drawn(*COLOURS))
    clip.seen.clear()
    clip.now_s = 100.0
    now = drawn(*COLOURS[:2], (20, 20, 20))
    for i in range(2):
        clip.now_s = 100.0 + i / 30
        embedded = embed_frame(embedder, now, budget=LatencyBudget(clip.now_s - 1, 1.0))
        assert embedded.known.tolist() == [True, True, False]
        assert not embedded.vectors[2].any()  # its old embedding is not returned
    assert embed_frame(
        embedder, drawn(*COLOURS), budget=LatencyBudget(clip.now_s - 1, 1.0)
    ).known.all()  # as before again: what it was is true
    embedder._table.records["age_frames"] = 1000
    clip.seen.clear()
    clip.now_s = 101.0
    assert embed_frame(embedder, now, budget=LatencyBudget(101.0, 50.0)).known.all()
    assert clip.seen[0] == 220


@pytest.mark.parametrize("what", CHANGES_OF_LIGHT)
def test_noise_light_and_camera_effects_are_no_change(what: str) -> None:
    clip = MeanColourClip()
    embedder = tracked_for_a_while(clip, drawn(*COLOURS), frames=130)
    shown = drawn(*COLOURS)
    for i in range(60):
        embed_frame(embedder, noisy(CHANGES_OF_LIGHT[what](shown, i), i, 2))
    assert len(clip.seen) <= 3  # refreshes by age


def test_motion_and_shaking_boxes_are_no_change() -> None:
    generator, clip = np.random.default_rng(4), MeanColourClip()
    embedder = tracked_for_a_while(clip, drawn(*COLOURS), frames=130)
    for i in range(60):
        moved = BOXES + np.array([0.5 * i, 0.2 * i] * 2, np.float32)
        seen = moved + generator.normal(0, 1.2, moved.shape).astype(np.float32)
        embed_frame(embedder, noisy(drawn(*COLOURS, boxes=moved), i), seen)
    assert len(clip.seen) <= 4


def test_partial_occlusion_is_no_change() -> None:
    clip = MeanColourClip()
    embedder = tracked_for_a_while(clip, drawn(*COLOURS), frames=130)
    for i in range(40):
        frame = drawn(*COLOURS)
        frame[40:140, 120 : 120 + i] = (200, 120, 40)  # half of the box of 80 px
        embed_frame(embedder, noisy(frame, i))
    assert clip.seen.count(120) <= 1


def test_a_flickering_object_is_not_embedded_in_every_frame() -> None:
    clip = MeanColourClip()
    embedder = tracked_for_a_while(clip, drawn(*COLOURS))
    for i in range(60):
        embed_frame(embedder, drawn((200, 40, 40) if i % 2 else COLOURS[0], *COLOURS[1:]))
    assert clip.seen.count(20) <= 20


def test_a_demo_video_embeds_a_tenth_of_its_segments() -> None:
    video, clip, tracker = DemoVideo(seed=31, items=6), MeanColourClip(), Tracker()
    embedder, seen, ids = TrackEmbedder(clip), 0, set()
    for i in range(150):
        made = video.scene(i)
        visible = made.masks[made.visible > 0.4]
        spans = [[np.flatnonzero(mask.any(axis=axis))[[0, -1]] for axis in (0, 1)] for mask in visible]
        boxes = np.array([[x[0], y[0], x[1] + 1, y[1] + 1] for x, y in spans], np.float32)
        segments = segments_of(*boxes)
        segments = dataclasses.replace(segments, track_ids=tracker.update(segments, made.frame, i / 30))
        embedder.begin(segments)
        embedder.embed(made.frame, segments)
        seen += len(segments)
        ids |= set(segments.track_ids.tolist())
    assert len(clip.seen) <= 0.1 * seen + 8
    assert len(ids) <= 14
