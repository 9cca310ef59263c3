"""Tracker: ids follow objects through motion, flicker, gaps and cuts."""

from __future__ import annotations

import numpy as np

from fastsam_trt.tracking import Tracker
from fastsam_trt.tracking.association import affinities
from support.made_tracks import box_around, random_boxes, segments_of


def run(tracker: Tracker, *frames) -> list[list[int]]:
    return [tracker.update(segments_of(*boxes)).tolist() for boxes in frames]


def test_ids_follow_straight_motion() -> None:
    ids = run(Tracker(), *[[box_around(50 + 9 * t, 100), box_around(400 - 7 * t, 300)] for t in range(30)])
    assert ids == [[0, 1]] * 30


def test_ids_do_not_depend_on_the_order_of_segments() -> None:
    tracker, generator = Tracker(), np.random.default_rng(0)
    for t in range(20):
        order = generator.permutation(4)
        boxes = [box_around(60 + 120 * i + 5 * t, 100 + 60 * i) for i in order]
        ids = tracker.update(segments_of(*boxes)).tolist()
        if t == 0:
            first = dict(zip(order.tolist(), ids, strict=True))
        assert [first[i] for i in order.tolist()] == ids


def test_crossing_objects_of_one_size_keep_their_ids() -> None:
    frames = [[box_around(100 + 10 * t, 200), box_around(500 - 10 * t, 212)] for t in range(40)]
    assert run(Tracker(), *frames) == [[0, 1]] * 40


def test_a_small_fast_object_is_followed_without_overlap() -> None:
    assert run(Tracker(), *[[box_around(20 + 2 * t + 0.6 * t * t, 50, 10, 10)] for t in range(25)]) == [[0]] * 25


def test_a_lost_object_keeps_its_id_for_half_of_max_lost_frames() -> None:
    there, nothing = [box_around(200, 200)], []
    for away, same in ((20, True), (31, False)):  # half of it, because the picture is steady
        tracker = Tracker(max_lost_frames=60)
        run(tracker, *[there] * 20, *[nothing] * away)
        assert (tracker.update(segments_of(*there)).tolist() == [0]) is same


def test_a_track_seen_once_is_dropped_soon() -> None:
    tracker = Tracker()
    run(tracker, [box_around(200, 200)], *[[]] * 7)
    assert len(tracker) == 0
    assert tracker.update(segments_of(box_around(200, 200))).tolist() == [1]


def test_a_change_of_scene_continues_no_track() -> None:
    generator = np.random.default_rng(3)
    tracker = Tracker()
    before = random_boxes(generator, 12)
    for _ in range(5):
        old = set(tracker.update(segments_of(*before)).tolist())
    after = random_boxes(generator, 12)
    after[0] = before[0] + [12, 9, -4, 10]  # by chance near an old box, and about as large
    assert affinities(before[:1], np.zeros(1, np.int32), after[:1], np.zeros(1, np.int32))[0, 0] > 0.3
    assert not old & set(tracker.update(segments_of(*after)).tolist())
    assert set(tracker.update(segments_of(*before)).tolist()) == old  # the tracks outlive one frame of another scene


def test_part_and_whole_stay_two_tracks_when_one_is_missing() -> None:
    whole, part = (100, 100, 200, 300), (104, 100, 196, 190)
    tracker = Tracker()
    assert run(tracker, *[[whole, part]] * 5) == [[0, 1]] * 5
    assert run(tracker, [part], [whole], [part, whole]) == [[1], [0], [1, 0]]


def test_a_flickering_class_keeps_the_track_but_decides_ties() -> None:
    tracker = Tracker()
    for t in range(10):
        assert tracker.update(segments_of(box_around(100, 100), classes=[t % 2])).tolist() == [0]
    tracker = Tracker()
    here, beside = box_around(100, 100), box_around(112, 100)
    assert tracker.update(segments_of(here, beside, classes=[1, 2])).tolist() == [0, 1]
    middle = [box_around(105.9, 100), box_around(106.1, 100)]
    assert tracker.update(segments_of(*middle, classes=[2, 1])).tolist() == [1, 0]


def test_300_segments_get_300_ids() -> None:
    generator = np.random.default_rng(1)
    tracker, boxes = Tracker(), random_boxes(generator, 300)
    first = tracker.update(segments_of(*boxes))
    assert first.tolist() == list(range(300))
    moved = boxes + generator.normal(0, 0.5, (300, 1)).astype(np.float32)
    again = tracker.update(segments_of(*moved))
    assert again.dtype == np.int32
    assert len(set(again.tolist())) == 300
    assert (again == first).mean() > 0.97


def test_empty_frames_flat_boxes_and_nan_are_tracked() -> None:
    tracker = Tracker()
    assert tracker.update(segments_of()).shape == (0,)
    flat, point, wrong = (10, 10, 60, 10), (5, 5, 5, 5), (np.nan, 0, np.inf, 10)
    with np.errstate(all="raise"):
        for _ in range(3):
            ids = tracker.update(segments_of(flat, point, wrong))
    assert len(set(ids.tolist())) == 3
    assert ids[:2].tolist() == [0, 1]
    assert tracker.update(segments_of()).shape == (0,)


def test_ids_are_not_used_again_and_memory_is_bounded() -> None:
    tracker, generator, used = Tracker(), np.random.default_rng(5), set()
    for _ in range(40):
        ids = set(tracker.update(segments_of(*random_boxes(generator, 100) * 40)).tolist())
        used |= ids
        assert len(tracker) <= 1024
    assert max(used) == len(used) - 1
    tracker.reset()
    assert len(tracker) == 0
    assert tracker.update(segments_of(box_around(50, 50))).tolist() == [len(used)]
