"""Tracks answer as things look now: changed looks are embedded at once, and tracks end where the scene does."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from fastsam_trt import Pipeline
from fastsam_trt.clip.embedder import Embeddings, LatencyBudget
from fastsam_trt.clip.track_embedder import TrackEmbedder
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.sources.demo_video import DemoVideo
from fastsam_trt.tracking import Tracker
from fastsam_trt.tracking.appearance import describe_boxes
from fastsam_trt.tracking.scene_cut import SceneCutDetector
from support.colour_models import scene as colour_scene
from support.made_results import CropMasks

HEIGHT, WIDTH = 240, 320
BOXES = np.array([[20, 30, 80, 90], [120, 40, 200, 140], [220, 120, 300, 220]], np.float32)
COLOURS = (40, 40, 200), (60, 160, 60), (150, 150, 150)  # BGR


class MeanColour:
    """A CLIP whose vector is the mean colour of a box, and that counts its crops."""

    def __init__(self, crop_s: float = 0.0) -> None:
        self.seen: list[int] = []  # left edges
        self.now_s = 0.0
        self.crop_s = crop_s

    def clock(self) -> float:
        return self.now_s

    def embed_boxes(self, frame: np.ndarray, boxes: np.ndarray, uploads: object = None) -> np.ndarray:
        self.seen += boxes[:, 0].astype(int).tolist()
        self.now_s += self.crop_s * len(boxes)
        means = [frame[int(y0) : int(y1), int(x0) : int(x1)].mean(axis=(0, 1)) for x0, y0, x1, y1 in boxes]
        vectors = np.array(means, np.float32).reshape(len(boxes), 3) + 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def embed_masked(self, frame: np.ndarray, segments: Segments) -> np.ndarray:
        return self.embed_boxes(frame, segments.boxes)


def segments_at(boxes: np.ndarray, ids: object = None) -> Segments:
    n = len(boxes)
    ids = np.arange(n, dtype=np.int32) if ids is None else np.asarray(ids, np.int32)
    return Segments(boxes.astype(np.float32), np.full(n, 0.5, np.float32), np.zeros(n, np.int32), CropMasks([]), ids)


def background(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Muted structure: (H, W, 3) uint8."""
    coarse = np.random.default_rng(seed).normal(110, 30, (height // 20, width // 20, 1))
    return np.repeat(cv2.resize(coarse, (width, height))[..., None].clip(0, 255), 3, axis=2).astype(np.uint8)


def drawn(*colours: tuple[int, int, int], boxes: np.ndarray = BOXES, behind: np.ndarray | None = None) -> np.ndarray:
    """Ellipses of some colours, which fill boxes, over a background."""
    frame = background() if behind is None else behind.copy()
    for (x0, y0, x1, y1), colour in zip(boxes.round().astype(int).tolist(), colours, strict=True):
        centre, half = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2)
        cv2.ellipse(frame, centre, half, 0, 0, 360, colour, -1)
    return frame


def noisy(frame: np.ndarray, seed: int, deviation: float = 6.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, deviation, frame.shape)
    return (frame + noise).clip(0, 255).astype(np.uint8)


def hue_turned(frame: np.ndarray, by: int = 100) -> np.ndarray:
    hsv = cv2.cvtColor(frame, cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + by) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def step(
    kept: TrackEmbedder, frame: np.ndarray, boxes: np.ndarray = BOXES, budget: LatencyBudget | None = None
) -> Embeddings:
    segments = segments_at(boxes)
    kept.begin(segments, budget)
    embedded = kept.embed(frame, segments)
    kept.record_margins(segments, np.where(embedded.known, 0.5, np.nan).astype(np.float32))
    return embedded


def settled(clip: MeanColour, frame: np.ndarray, frames: int = 60, **options: object) -> TrackEmbedder:
    """Embeddings of objects that have been there for a while."""
    kept = TrackEmbedder(clip, **options)
    for i in range(frames):
        step(kept, noisy(frame, i % 7))
    clip.seen.clear()
    return kept


# A changed look


@pytest.mark.parametrize("before", [20, 60])
@pytest.mark.parametrize("crop", ["box", "masked"])
def test_a_circle_that_turns_blue_is_not_red_in_the_frame_that_shows_it(before: int, crop: str) -> None:
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
    assert len(ids & set(result.segments.track_ids.tolist())) >= len(ids) - 1  # an object keeps its id
    assert len(pipe.select(shown)) == 1  # and back


CHANGES = {
    "another colour": (200, 40, 40),
    "a near colour": (30, 120, 220),
    "grey": (120, 120, 120),
    "dark": (8, 8, 50),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("masked", [False, True])
def test_one_of_several_changes_and_is_embedded_alone_and_at_once(change: str, masked: bool) -> None:
    clip = MeanColour()
    kept = settled(clip, drawn(*COLOURS), masked=masked)
    now = noisy(drawn(CHANGES[change], *COLOURS[1:]), 50)
    embedded = step(kept, now)
    assert clip.seen == [20]
    np.testing.assert_allclose(embedded.vectors[0], MeanColour().embed_boxes(now, BOXES)[0], atol=1e-6)  # no blend
    assert embedded.known.all()
    clip.seen.clear()
    for i in range(5):
        step(kept, noisy(now, i, 3))
    assert clip.seen == []


@pytest.mark.parametrize(("then", "now"), [((235, 235, 235), (20, 20, 20)), ((20, 20, 20), (235, 235, 235))])
def test_white_that_turns_black_and_the_reverse_is_a_change(then: tuple, now: tuple) -> None:
    clip = MeanColour()
    kept = settled(clip, drawn(*COLOURS[:2], then))
    step(kept, noisy(drawn(*COLOURS[:2], now), 50))
    assert clip.seen == [220]


def test_a_signal_that_turns_green_is_a_change_though_most_of_its_box_stays() -> None:
    boxes = np.array([[100, 60, 140, 160]], np.float32)

    def signal(lamp: int, colour: tuple[int, int, int]) -> np.ndarray:
        frame = background()
        frame[60:160, 100:140] = 25
        for i in range(3):
            cv2.circle(frame, (120, 78 + 32 * i), 14, colour if i == lamp else (45, 45, 45), -1)
        return frame

    clip = MeanColour()
    kept = TrackEmbedder(clip)
    for i in range(40):
        step(kept, noisy(signal(0, (30, 30, 230)), i), boxes)
    clip.seen.clear()
    step(kept, noisy(signal(2, (90, 230, 60)), 50), boxes)
    assert clip.seen == [100]


def test_a_slow_fade_is_noticed_too() -> None:
    clip = MeanColour()
    kept = settled(clip, drawn(*COLOURS), frames=120)
    for i in range(40):
        blue = tuple(int(a + (b - a) * i / 39) for a, b in zip(COLOURS[0], (200, 40, 40), strict=True))
        embedded = step(kept, noisy(drawn(blue, *COLOURS[1:]), i))
    shown = MeanColour().embed_boxes(drawn((200, 40, 40), *COLOURS[1:]), BOXES)[0]
    assert clip.seen.count(20) >= 2
    assert embedded.vectors[0] @ shown > 0.98


def test_a_lamp_that_blinks_is_followed() -> None:
    clip = MeanColour()
    lit = [noisy(drawn(colour, *COLOURS[1:]), 3) for colour in ((40, 40, 200), (200, 40, 40))]
    kept = settled(clip, lit[0])
    for i in range(80):
        frame = lit[i // 8 % 2]
        vector = step(kept, frame).vectors[0]
        assert vector @ MeanColour().embed_boxes(frame, BOXES)[0] > 0.999
    assert clip.seen.count(20) <= 14


def test_two_selectors_that_ask_pay_once_and_learn_the_same() -> None:
    clip = MeanColour()
    kept = settled(clip, drawn(*COLOURS))
    now, segments = drawn((200, 40, 40), *COLOURS[1:]), segments_at(BOXES)
    kept.begin(segments)
    first, second = kept.embed(now, segments.take(np.array([0, 1]))), kept.embed(now, segments.take(np.array([1, 0])))
    assert clip.seen == [20]
    np.testing.assert_array_equal(first.vectors, second.vectors[::-1])
    kept.begin(segments)
    kept.embed(drawn(*COLOURS), segments)
    kept.embed(now, segments)  # a ranking of the result of before
    assert clip.seen == [20, 20]


def test_with_a_budget_a_changed_look_is_pending_and_goes_before_refreshes() -> None:
    clip = MeanColour(crop_s=0.02)
    kept = settled(clip, drawn(*COLOURS), clock=clip.clock)
    for _ in range(3):
        step(kept, drawn(*COLOURS))
    clip.seen.clear()
    clip.now_s = 100.0
    now = drawn(*COLOURS[:2], (20, 20, 20))
    for i in range(2):
        clip.now_s = 100.0 + i / 30
        embedded = step(kept, now, budget=LatencyBudget(clip.now_s - 1, 1.0))
        assert embedded.known.tolist() == [True, True, False]
        assert not embedded.vectors[2].any()  # what it was is not told as what it is
    assert step(
        kept, drawn(*COLOURS), budget=LatencyBudget(clip.now_s - 1, 1.0)
    ).known.all()  # as before again: what it was is true
    kept._table.records["age_frames"] = 1000
    clip.seen.clear()
    clip.now_s = 101.0
    assert step(kept, now, budget=LatencyBudget(101.0, 50.0)).known.all()
    assert clip.seen[0] == 220


# What is no change


def _light(frame: np.ndarray, i: int) -> np.ndarray:
    return (frame * (1 - 0.5 * i / 60)).astype(np.uint8)


def _flicker(frame: np.ndarray, i: int) -> np.ndarray:
    return (frame.astype(np.float32) * (1 + 0.12 * (-1) ** i)).clip(0, 255).astype(np.uint8)


def _exposed(frame: np.ndarray, i: int) -> np.ndarray:
    return (frame * (0.45 if i >= 10 else 1)).astype(np.uint8)


def _tinted(frame: np.ndarray, i: int) -> np.ndarray:
    return (frame * [1 - 0.12 * i / 60, 1, 1 + 0.1 * i / 60]).clip(0, 255).astype(np.uint8)


def _compressed(frame: np.ndarray, i: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 20 + 10 * (i % 3)])[1], 1)


def _blurred(frame: np.ndarray, i: int) -> np.ndarray:
    return cv2.blur(frame, (1 + 2 * (i % 5), 1))


STEADY = {
    "noise": lambda frame, i: noisy(frame, i, 14),
    "light that fades": _light,
    "light that flickers": _flicker,
    "an exposure that jumps": _exposed,
    "white balance": _tinted,
    "compression": _compressed,
    "motion blur": _blurred,
}


@pytest.mark.parametrize("what", STEADY)
def test_noise_light_and_cameras_are_no_change(what: str) -> None:
    clip = MeanColour()
    kept = settled(clip, drawn(*COLOURS), frames=130)
    shown = drawn(*COLOURS)
    for i in range(60):
        step(kept, noisy(STEADY[what](shown, i), i, 2))
    assert len(clip.seen) <= 3  # refreshes by age


def test_motion_over_a_background_and_boxes_that_shake_are_no_change() -> None:
    generator, clip = np.random.default_rng(4), MeanColour()
    kept = settled(clip, drawn(*COLOURS), frames=130)
    for i in range(60):
        moved = BOXES + np.array([0.5 * i, 0.2 * i] * 2, np.float32)
        seen = moved + generator.normal(0, 1.2, moved.shape).astype(np.float32)
        step(kept, noisy(drawn(*COLOURS, boxes=moved), i), seen)
    assert len(clip.seen) <= 4


def test_what_passes_in_front_is_no_change_until_it_hides_most() -> None:
    clip = MeanColour()
    kept = settled(clip, drawn(*COLOURS), frames=130)
    for i in range(40):
        frame = drawn(*COLOURS)
        frame[40:140, 120 : 120 + i] = (200, 120, 40)  # half of the box of 80 px
        step(kept, noisy(frame, i))
    assert clip.seen.count(120) <= 1


def test_a_look_that_never_rests_is_not_embedded_in_every_frame() -> None:
    clip = MeanColour()
    kept = settled(clip, drawn(*COLOURS))
    for i in range(60):
        step(kept, drawn((200, 40, 40) if i % 2 else COLOURS[0], *COLOURS[1:]))
    assert clip.seen.count(20) <= 20


def test_a_demo_video_costs_hardly_more_crops() -> None:
    video, clip, tracker = DemoVideo(seed=31, items=6), MeanColour(), Tracker()
    kept, seen, ids = TrackEmbedder(clip), 0, set()
    for i in range(150):
        made = video.scene(i)
        visible = made.masks[made.visible > 0.4]
        spans = [[np.flatnonzero(mask.any(axis=axis))[[0, -1]] for axis in (0, 1)] for mask in visible]
        boxes = np.array([[x[0], y[0], x[1] + 1, y[1] + 1] for x, y in spans], np.float32)
        segments = segments_at(boxes)
        segments = dataclasses.replace(segments, track_ids=tracker.update(segments, made.frame, i / 30))
        kept.begin(segments)
        kept.embed(made.frame, segments)
        seen += len(segments)
        ids |= set(segments.track_ids.tolist())
    assert len(clip.seen) <= 0.1 * seen + 8
    assert len(ids) <= 14


# Twins


def test_two_segments_with_one_box_pay_for_one_crop() -> None:
    clip = MeanColour()
    boxes = np.concatenate([BOXES, BOXES[:1] + 1, BOXES[:1] * (1, 1, 1, 1.3)]).astype(np.float32)
    kept = TrackEmbedder(clip)
    embedded = step(kept, drawn(*COLOURS), boxes)
    assert embedded.known.all()
    assert sorted(clip.seen) == [20, 20, 120, 220]  # not that which is one pixel off
    np.testing.assert_array_equal(embedded.vectors[3], embedded.vectors[0])
    clip.seen.clear()
    now = drawn((200, 40, 40), *COLOURS[1:])
    embedded = step(kept, now, boxes)  # both changed: the one is answered by the other's new crop, not by its old one
    assert embedded.known.all()
    assert clip.seen.count(20) == 2
    np.testing.assert_array_equal(embedded.vectors[3], embedded.vectors[0])
    assert step(kept, now, np.concatenate([boxes, boxes[1:2]])).known.all()  # new, and another's is known
    assert clip.seen.count(120) == 0


def test_a_twin_is_known_by_its_mask_where_masks_are_shown() -> None:
    clip = MeanColour()
    step(TrackEmbedder(clip, masked=True), drawn(*COLOURS), np.concatenate([BOXES, BOXES]))
    assert len(clip.seen) == 6


def test_of_many_boxes_that_are_one_each_is_answered_in_the_same_frame() -> None:
    clip = MeanColour()
    sliding = np.array([[20 + i, 30, 80 + i, 90] for i in range(12)], np.float32)
    assert step(TrackEmbedder(clip), drawn(*COLOURS), sliding).known.all()
    assert len(clip.seen) < 7


# Signatures


def test_a_signature_is_the_same_at_every_size_and_on_the_edge() -> None:
    frame = drawn(*COLOURS)
    large = cv2.resize(frame, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(describe_boxes(large, BOXES * 6), describe_boxes(frame, BOXES), atol=2)
    outside = np.array([[-500, -500, -400, -400], [0, 0, 0, 0], [np.nan, 0, np.inf, 5]], np.float32)
    assert np.isfinite(describe_boxes(frame, outside)).all()
    assert describe_boxes(frame, np.empty((0, 4), np.float32)).shape == (0, 36, 3)
    many = np.repeat(BOXES, 1000, axis=0)
    np.testing.assert_array_equal(describe_boxes(frame, many)[::1000], describe_boxes(frame, BOXES))
    wide = np.full((4, 40_000, 3), 90, np.uint8)
    assert np.isfinite(describe_boxes(wide, np.array([[0, 0, 40_000, 4]], np.float32))).all()


# Cuts


def follow(*frames: np.ndarray, times_s: object = None) -> list[str]:
    watched = SceneCutDetector()
    times = [None] * len(frames) if times_s is None else times_s
    return [watched.update(frame, at) for frame, at in zip(frames, times, strict=True)]


def test_other_scenes_are_cuts_though_their_colours_are_alike() -> None:
    found = follow(*[noisy(background(seed), i) for seed in (1, 2, 3) for i in range(3)])
    assert found == ["same"] * 3 + (["cut"] + ["same"] * 2) * 2


def test_pans_and_light_and_fades_are_no_cuts() -> None:
    wide = background(5, 400, 2400)
    assert set(follow(*[wide[:240, 30 * i : 30 * i + 320] for i in range(40)])) == {"same"}
    shown = drawn(*COLOURS)
    for what, changed in STEADY.items():
        assert set(follow(*[changed(shown, i) for i in range(30)])) == {"same"}, what
    fade = [(shown * (i / 20)).astype(np.uint8) for i in range(20, 2, -1)]
    assert set(follow(*fade)) == {"same"}
    assert set(follow(*[np.zeros_like(shown)] * 3)) == {"same"}
    assert set(follow(drawn(*COLOURS), drawn(*COLOURS[::-1]))) == {"same"}  # objects that change are no cut


def test_a_flash_is_over_and_the_scene_is_back() -> None:
    shown, white = drawn(*COLOURS), np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    assert follow(shown, shown, white, shown) == ["same", "same", "cut", "back"]
    assert follow(shown, white, white, white, shown)[-1] == "back"
    assert follow(shown, *[white] * 8, shown)[-1] == "cut"


def test_another_size_and_a_gap_in_time_are_cuts() -> None:
    shown = drawn(*COLOURS)
    assert follow(shown, cv2.resize(shown, (640, 480))) == ["same", "cut"]
    steady = [i / 25 for i in range(10)]
    assert follow(*[shown] * 12, times_s=[*steady, 5.0, 5.04]) == ["same"] * 10 + ["cut", "same"]
    assert set(follow(*[shown] * 4, times_s=[0.0, 10.0, 20.0, 30.0])[2:]) == {"same"}  # it is as slow as that
    assert set(follow(*[shown] * 3, times_s=[5.0, 1.0, 1.1])) == {"same"}


def test_tracks_end_at_a_cut_and_go_on_after_a_flash() -> None:
    here, there = drawn(*COLOURS), drawn(*COLOURS, behind=background(9))
    white = np.full_like(here, 255)
    tracker, segments = Tracker(), segments_at(BOXES)
    for i in range(5):
        assert tracker.update(segments, noisy(here, i)).tolist() == [0, 1, 2]
    assert tracker.update(segments, there).tolist() == [3, 4, 5]
    assert tracker.update(segments, noisy(there, 1)).tolist() == [3, 4, 5]
    assert tracker.update(segments_at(BOXES[:1]), white).tolist() == [6]
    assert tracker.update(segments, noisy(there, 2)).tolist() == [3, 4, 5]


def test_objects_in_the_same_places_after_a_cut_inherit_nothing() -> None:
    pipe = Pipeline("demo-seg", clip="demo-clip", prompts=["red circle"], track=True)
    first, second = (DemoVideo(seed=seed).scene(10).frame for seed in (7, 31))
    for _ in range(4):
        before = pipe(first)
    after = pipe(second)
    assert not set(before.segments.track_ids.tolist()) & set(after.segments.track_ids.tolist())
    assert after.embedded == len(after.segments)
    plain = Pipeline("demo-seg", clip="demo-clip", prompts=["red circle"])(second)
    np.testing.assert_array_equal(after.boxes, plain.boxes)


@pytest.mark.parametrize("clock", ["media_s", "captured_s"])
def test_tracks_end_while_a_source_is_away(clock: str) -> None:
    pipe = Pipeline("things", clip="clip-colours", prompts=["red"], track=True)
    frame = colour_scene(("red", 1, 1), ("green", 1, 5))
    ids = [pipe(frame, **{clock: at_s}).segments.track_ids.tolist() for at_s in (0.0, 0.04, 0.08, 9.0, 9.04)]
    assert ids[0] == ids[1] == ids[2]
    assert ids[3] == ids[4]
    assert not set(ids[2]) & set(ids[3])
