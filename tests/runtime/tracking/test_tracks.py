"""Tracks: segments associated across frames, and embeddings that are made once an object."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fastsam_trt.clip.batch_latency import BatchLatency
from fastsam_trt.clip.embedder import Embeddings, LatencyBudget
from fastsam_trt.clip.refresh import blend, refresh_urgency
from fastsam_trt.clip.refresh_schedule import DEFAULT_SCHEDULE
from fastsam_trt.clip.track_embedder import TrackEmbedder
from fastsam_trt.clip.track_table import TrackTable
from fastsam_trt.masks.batch_ladder import LADDER
from fastsam_trt.segmentation.segments import Segments
from fastsam_trt.tracking import Tracker
from fastsam_trt.tracking.association import IMPOSSIBLE, affinities, match_greedily
from support.made_results import CropMasks

FRAME = np.zeros((480, 640, 3), np.uint8)


def found(*boxes, ids=None, scores=None, classes=None) -> Segments:
    n = len(boxes)
    return Segments(
        np.array(boxes, np.float32).reshape(n, 4),
        np.full(n, 0.5, np.float32) if scores is None else np.array(scores, np.float32),
        np.zeros(n, np.int32) if classes is None else np.array(classes, np.int32),
        CropMasks([]),
        np.empty(0, np.int32) if ids is None else np.array(ids, np.int32),
    )


def around(x, y, width=40, height=30) -> tuple[float, float, float, float]:
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def random_boxes(generator: np.random.Generator, n: int) -> np.ndarray:
    low = generator.uniform(0, 500, (n, 2))
    return np.concatenate([low, low + generator.uniform(0, 120, (n, 2))], axis=1).astype(np.float32)


# Association


def plain_affinity(track, track_class, box, class_id) -> float:
    """`affinities` of one pair, in plain arithmetic."""
    sides, other = [[max(b[2 + i] - b[i], 1) for i in range(2)] for b in (track, box)]
    inter = np.prod([max(min(track[2 + i], box[2 + i]) - max(track[i], box[i]), 0) for i in range(2)])
    union = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (track, box)) - inter
    iou = inter / union if union > 0 else 0
    size = np.prod([min(a, b) / max(a, b) for a, b in zip(sides, other, strict=True)])
    apart = np.hypot(*[(track[i] + track[2 + i] - box[i] - box[2 + i]) / 2 for i in range(2)])
    near = max(1 - apart / (1.25 * np.sqrt(np.hypot(*sides) * np.hypot(*other))), 0)
    if size < 0.25 or (iou < 0.2 and near < 0.6):
        return -1.0
    return float((iou + near) / 2 * np.sqrt(size) - 0.1 * (track_class != class_id))


@pytest.mark.parametrize("seed", range(8))
def test_association_is_that_of_plain_loops(seed: int) -> None:
    generator = np.random.default_rng(seed)
    boxes = random_boxes(generator, 60)
    tracks = np.concatenate([boxes[:40] + generator.normal(0, 8, (40, 4)).astype(np.float32), boxes[:15]])
    track_classes, classes = generator.integers(0, 3, len(tracks)), generator.integers(0, 3, len(boxes))
    fast = affinities(tracks, track_classes.astype(np.int32), boxes, classes.astype(np.int32))
    plain = np.array(
        [
            [plain_affinity(t.astype(float), a, b.astype(float), c) for b, c in zip(boxes, classes, strict=True)]
            for t, a in zip(tracks, track_classes, strict=True)
        ]
    )
    np.testing.assert_allclose(fast, plain, atol=2e-5)
    pairs = []
    for row, column in sorted(itertools.product(range(55), range(60)), key=lambda at: (-fast[at], at)):
        if fast[row, column] >= 0.3 and all(row != r and column != c for r, c in pairs):
            pairs.append((row, column))
    assert len(pairs) > 30
    assert sorted(zip(*(each.tolist() for each in match_greedily(fast, 0.3)), strict=True)) == sorted(pairs)


def test_equal_affinities_go_by_row_and_column() -> None:
    rows, columns = match_greedily(np.ones((3, 2), np.float32), 0.5)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 0), (1, 1)]
    assert not len(match_greedily(np.empty((0, 4), np.float32), 0.5)[0])
    assert not len(match_greedily(np.full((2, 2), IMPOSSIBLE), 0.5)[0])


# Tracker


def run(tracker: Tracker, *frames) -> list[list[int]]:
    return [tracker.update(found(*boxes)).tolist() for boxes in frames]


def test_ids_follow_straight_motion() -> None:
    ids = run(Tracker(), *[[around(50 + 9 * t, 100), around(400 - 7 * t, 300)] for t in range(30)])
    assert ids == [[0, 1]] * 30


def test_ids_follow_whatever_the_order_of_the_segments() -> None:
    tracker, generator = Tracker(), np.random.default_rng(0)
    for t in range(20):
        order = generator.permutation(4)
        boxes = [around(60 + 120 * i + 5 * t, 100 + 60 * i) for i in order]
        ids = tracker.update(found(*boxes)).tolist()
        if t == 0:
            first = dict(zip(order.tolist(), ids, strict=True))
        assert [first[i] for i in order.tolist()] == ids


def test_objects_of_one_size_that_cross_keep_their_ids() -> None:
    frames = [[around(100 + 10 * t, 200), around(500 - 10 * t, 212)] for t in range(40)]
    assert run(Tracker(), *frames) == [[0, 1]] * 40


def test_small_and_fast_is_followed_without_any_overlap_once_it_moves() -> None:
    assert run(Tracker(), *[[around(20 + 2 * t + 0.6 * t * t, 50, 10, 10)] for t in range(25)]) == [[0]] * 25


def test_what_leaves_and_comes_back_soon_is_the_same_and_later_is_another() -> None:
    there, nothing = [around(200, 200)], []
    for away, same in ((20, True), (31, False)):  # a steady picture keeps half as long
        tracker = Tracker(max_lost_frames=60)
        run(tracker, *[there] * 20, *[nothing] * away)
        assert (tracker.update(found(*there)).tolist() == [0]) is same


def test_what_was_seen_once_is_kept_for_a_short_time_only() -> None:
    tracker = Tracker()
    run(tracker, [around(200, 200)], *[[]] * 7)
    assert len(tracker) == 0
    assert tracker.update(found(around(200, 200))).tolist() == [1]


def test_a_cut_links_no_strangers() -> None:
    generator = np.random.default_rng(3)
    tracker = Tracker()
    before = random_boxes(generator, 12)
    for _ in range(5):
        old = set(tracker.update(found(*before)).tolist())
    after = random_boxes(generator, 12)
    after[0] = before[0] + [12, 9, -4, 10]  # by chance where something was, about as large
    assert affinities(before[:1], np.zeros(1, np.int32), after[:1], np.zeros(1, np.int32))[0, 0] > 0.3
    assert not old & set(tracker.update(found(*after)).tolist())
    assert set(tracker.update(found(*before)).tolist()) == old  # one frame of something else forgets nothing


def test_part_and_whole_are_two_tracks_though_one_is_missing() -> None:
    whole, part = (100, 100, 200, 300), (104, 100, 196, 190)
    tracker = Tracker()
    assert run(tracker, *[[whole, part]] * 5) == [[0, 1]] * 5
    assert run(tracker, [part], [whole], [part, whole]) == [[1], [0], [1, 0]]


def test_a_class_that_flickers_breaks_no_track_but_decides_between_equals() -> None:
    tracker = Tracker()
    for t in range(10):
        assert tracker.update(found(around(100, 100), classes=[t % 2])).tolist() == [0]
    tracker = Tracker()
    here, beside = around(100, 100), around(112, 100)
    assert tracker.update(found(here, beside, classes=[1, 2])).tolist() == [0, 1]
    middle = [around(105.9, 100), around(106.1, 100)]
    assert tracker.update(found(*middle, classes=[2, 1])).tolist() == [1, 0]


def test_three_hundred_segments_each_have_an_id_of_their_own() -> None:
    generator = np.random.default_rng(1)
    tracker, boxes = Tracker(), random_boxes(generator, 300)
    first = tracker.update(found(*boxes))
    assert first.tolist() == list(range(300))
    moved = boxes + generator.normal(0, 0.5, (300, 1)).astype(np.float32)
    again = tracker.update(found(*moved))
    assert again.dtype == np.int32
    assert len(set(again.tolist())) == 300
    assert (again == first).mean() > 0.97


def test_nothing_and_no_area_and_no_number() -> None:
    tracker = Tracker()
    assert tracker.update(found()).shape == (0,)
    flat, point, wrong = (10, 10, 60, 10), (5, 5, 5, 5), (np.nan, 0, np.inf, 10)
    with np.errstate(all="raise"):
        for _ in range(3):
            ids = tracker.update(found(flat, point, wrong))
    assert len(set(ids.tolist())) == 3
    assert ids[:2].tolist() == [0, 1]
    assert tracker.update(found()).shape == (0,)


def test_ids_are_not_used_again_and_memory_is_bounded() -> None:
    tracker, generator, used = Tracker(), np.random.default_rng(5), set()
    for _ in range(40):
        ids = set(tracker.update(found(*random_boxes(generator, 100) * 40)).tolist())
        used |= ids
        assert len(tracker) <= 1024
    assert max(used) == len(used) - 1
    tracker.reset()
    assert len(tracker) == 0
    assert tracker.update(found(around(50, 50))).tolist() == [len(used)]


# Embeddings


class Eyes:
    """A CLIP that counts: its vectors say which frame and which box they were made of, and it takes its time."""

    def __init__(self, crop_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.crop_s = crop_s
        self.batches: list[int] = []
        self.seen: list[float] = []  # left edges
        self.frames = 0

    def clock(self) -> float:
        return self.now_s

    def embed_boxes(self, frame, boxes, uploads=None) -> np.ndarray:
        self.batches.append(len(boxes))
        self.seen += boxes[:, 0].tolist()
        self.now_s += self.crop_s * len(boxes)
        angles = boxes[:, 0] / 700 + self.frames / 1000
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    def embed_masked(self, frame, segments) -> np.ndarray:
        return -self.embed_boxes(frame, segments.boxes)


def row(n: int, *, first: int = 0, side: float = 20, **more) -> Segments:
    """Tracks in a row, `first` and up; the left edge of each is ten times its id."""
    ids = range(first, first + n)
    return found(*[(10 * i, 0, 10 * i + side, side) for i in ids], ids=ids, **more)


def step(
    kept: TrackEmbedder, segments: Segments, budget: LatencyBudget | None = None, margin: float = 0.5
) -> Embeddings:
    kept.begin(segments, budget)
    embedded = kept.embed(FRAME, segments)
    margins = np.where(embedded.known, margin, np.nan).astype(np.float32)
    kept.record_margins(segments, margins)
    return embedded


def test_new_tracks_are_embedded_at_once_in_batches_of_the_ladder() -> None:
    eyes = Eyes()
    kept = TrackEmbedder(eyes)
    embedded = step(kept, row(23))
    assert embedded.known.all()
    assert embedded.crops_embedded == 23
    assert eyes.batches == [16, 4, 2, 1]
    np.testing.assert_allclose(embedded.vectors, Eyes().embed_boxes(FRAME, row(23).boxes), atol=1e-6)
    again = step(kept, row(24))
    assert again.crops_embedded == 1
    np.testing.assert_array_equal(again.vectors[:23], embedded.vectors)


def test_few_crops_are_embedded_over_the_life_of_a_track() -> None:
    eyes = Eyes()
    kept = TrackEmbedder(eyes)
    frames = [i for i in range(600) if step(kept, row(1)).crops_embedded]
    gaps = np.diff(frames)
    assert 5 <= len(frames) <= 24
    assert (np.diff(gaps) >= 0).all()
    assert 20 <= gaps[-1] <= 90


def test_a_change_of_either_side_is_a_reason_and_a_small_one_is_not() -> None:
    for width, height, reason in ((20, 20, False), (23, 22, False), (27, 20, True), (20, 14, True)):
        kept = TrackEmbedder(Eyes())
        step(kept, row(1))
        embedded = step(kept, found((0, 0, width, height), ids=[0]))
        assert (embedded.crops_embedded == 1) is reason


def test_a_box_that_changes_in_every_frame_is_not_embedded_in_every_frame() -> None:
    kept = TrackEmbedder(Eyes())
    made = [step(kept, row(1, side=20 + 30 * (i % 2))).crops_embedded for i in range(40)]
    assert sum(made[20:]) <= 5


def test_a_close_judgement_is_looked_at_again_sooner() -> None:
    first = {}
    for margin in (0.5, 0.01):
        kept = TrackEmbedder(Eyes())
        made = [i for i in range(60) if step(kept, row(1), margin=margin).crops_embedded]
        first[margin] = made[2]
    assert first[0.01] < first[0.5]


def test_the_smaller_margin_of_two_selectors_counts_and_only_this_frames() -> None:
    kept, segments = TrackEmbedder(Eyes()), row(2)
    step(kept, segments, margin=0.1)
    kept.begin(segments)
    kept.embed(FRAME, segments)
    kept.record_margins(segments, np.array([0.4, 0.2], np.float32))
    kept.record_margins(segments, np.array([0.3, np.nan], np.float32))
    kept.record_margins(segments, np.array([0.6, 0.9], np.float32))
    np.testing.assert_allclose(kept._table.records["margin"], [0.3, 0.2])


def test_refreshes_are_spread_over_frames_most_urgent_first() -> None:
    eyes = Eyes()
    kept = TrackEmbedder(eyes)
    for _ in range(40):
        step(kept, row(40))
    counts = []
    for i in range(90):
        eyes.seen.clear()
        counts.append(step(kept, row(40)).crops_embedded)
        if i == 3:
            step(kept, found(*row(40).boxes[:39], (390, 0, 490, 20), ids=range(40)))
            assert 390 in eyes.seen
    assert max(counts) == 4
    assert sum(counts) > 30


def test_refreshes_get_what_new_tracks_leave_of_a_tenth() -> None:
    kept = TrackEmbedder(Eyes())
    made = seen = 0
    for i in range(600):
        segments = row(20, first=i // 2, side=20 + 30 * (i % 2))  # one in forty is new, and all change all the time
        made, seen = made + step(kept, segments).crops_embedded, seen + 20
    assert 0.08 < made / seen < 0.106


def test_new_tracks_alone_may_be_more_and_still_nothing_is_never_refreshed() -> None:
    eyes = Eyes()
    kept = TrackEmbedder(eyes)
    for i in range(200):
        fresh = row(4, first=1 + 4 * i)
        step(kept, found((7, 0, 27, 20), *fresh.boxes, ids=[0, *fresh.track_ids]))
    assert 2 <= eyes.seen.count(7) <= 20
    assert len(eyes.seen) == 800 + eyes.seen.count(7)


def test_frames_without_segments_do_not_pay_what_new_tracks_owe() -> None:
    kept = TrackEmbedder(Eyes())
    made = 0
    for i in range(650):
        burst, at = divmod(i, 65)
        busy, quiet = row(20, first=100 + 20 * burst), row(1, side=20 + 30 * (at % 2))
        made += step(kept, busy if at < 4 else found() if at == 4 else quiet).crops_embedded
    assert made <= 1.05 * 20 * 10  # one in seven segments seen is new


def test_what_a_frame_has_embedded_it_does_not_embed_again() -> None:
    eyes = Eyes()
    kept = TrackEmbedder(eyes)
    for _ in range(12):
        kept.begin(row(30))
        before = len(eyes.seen)
        asked = row(30), row(20, first=10), row(30)
        crops = sum(kept.embed(FRAME, segments).crops_embedded for segments in asked)
        assert crops == len(eyes.seen) - before
        assert len(set(eyes.seen[before:])) == crops
        assert crops in (30, *range(4))


def test_a_subset_pays_for_itself_alone() -> None:
    eyes = Eyes()
    kept = TrackEmbedder(eyes)
    kept.begin(row(10))
    subset = row(10).take(np.array([7, 2]))
    embedded = kept.embed(FRAME, subset)
    assert sorted(eyes.seen) == [20, 70]
    np.testing.assert_allclose(embedded.vectors, Eyes().embed_boxes(FRAME, subset.boxes), atol=1e-6)


def test_dropped_tracks_are_dropped_and_memory_is_bounded() -> None:
    kept = TrackEmbedder(Eyes(), max_lost_frames=5)
    for start in range(0, 4000, 100):
        step(kept, row(100, first=start))
    assert len(kept) == 600
    for _ in range(6):
        step(kept, row(1, first=4000))
    assert len(kept) == 1
    assert len(kept._table._records) < 600
    assert step(kept, row(2, first=3999)).crops_embedded == 1
    kept.reset()
    assert len(kept) == 0


def test_a_track_that_was_away_keeps_its_embedding() -> None:
    eyes = Eyes()
    kept = TrackEmbedder(eyes)
    was = step(kept, row(3)).vectors[1]
    step(kept, found(*row(3).boxes[[0, 2]], ids=[0, 2]))
    np.testing.assert_array_equal(step(kept, row(3)).vectors[1], was)
    assert len(eyes.seen) == 3


def test_segments_without_a_track_are_embedded_each_time() -> None:
    eyes = Eyes()
    kept = TrackEmbedder(eyes, clock=eyes.clock)
    mixed = found(*row(4).boxes, ids=[-1, 5, -1, 6])
    for turn in range(3):
        embedded = step(kept, mixed)
        assert embedded.known.all()
        np.testing.assert_allclose(embedded.vectors, Eyes().embed_boxes(FRAME, mixed.boxes), atol=1e-6)
        assert embedded.crops_embedded == (4 if turn == 0 else 2)


def test_masked_crops_go_through_masked() -> None:
    plain, masked = (step(TrackEmbedder(Eyes(), masked=each), row(2)).vectors for each in (False, True))
    np.testing.assert_array_equal(plain, -masked)


def test_nothing_to_embed() -> None:
    kept = TrackEmbedder(Eyes())
    assert step(kept, found()).vectors.shape[0] == 0
    step(kept, row(2))
    assert step(kept, found()).known.shape == (0,)


# Budget


def warmed(crop_s: float = 0.01) -> tuple[Eyes, TrackEmbedder]:
    """An embedder that knows how long a crop takes."""
    eyes = Eyes(crop_s)
    kept = TrackEmbedder(eyes, clock=eyes.clock)
    kept.warm(FRAME.shape)
    eyes.seen.clear()
    eyes.batches.clear()
    eyes.now_s = 0.0
    return eyes, kept


def test_warming_runs_every_size_and_is_not_counted() -> None:
    eyes = Eyes(0.01)
    kept = TrackEmbedder(eyes, clock=eyes.clock)
    kept.warm(FRAME.shape)
    assert eyes.batches == [size for size in reversed(LADDER) for _ in range(2)]
    assert len(kept) == 0
    assert step(kept, row(2)).crops_embedded == 2


def test_the_promising_come_first_the_rest_is_pending_and_then_decided() -> None:
    eyes, kept = warmed()
    scores = np.random.default_rng(0).permutation(20) / 20
    segments, known = row(20, scores=scores), []
    for i in range(6):
        captured_s = eyes.now_s = 10 + i / 10
        embedded = step(kept, segments, LatencyBudget(captured_s, 50))
        assert eyes.now_s - captured_s <= 0.0501
        assert not embedded.vectors[~embedded.known].any()
        np.testing.assert_allclose(np.linalg.norm(embedded.vectors[embedded.known], axis=1), 1, atol=1e-6)
        known.append(embedded.known.sum())
        if i == 0:
            assert set(np.flatnonzero(embedded.known)) == set(np.argsort(-scores)[: known[0]])
    assert 4 <= known[0] <= 5
    assert known[-1] == 20


def test_the_reserve_is_kept_and_may_change() -> None:
    eyes, kept = warmed()
    eyes.now_s = 10.0
    assert step(kept, row(10), LatencyBudget(10.0, 50, reserve_ms=12)).crops_embedded == 3
    eyes.now_s = 10.1  # one slow frame in a later stage does not use up the whole budget
    assert step(kept, row(10), LatencyBudget(10.1, 50, reserve_ms=1000)).crops_embedded == 3
    assert step(kept, row(10)).crops_embedded == 4


def test_without_a_budget_there_is_no_deadline() -> None:
    _, kept = warmed()
    assert step(kept, row(40)).known.all()


def test_new_tracks_go_before_refreshes() -> None:
    eyes, kept = warmed()
    step(kept, row(30))
    for i in range(10):
        step(kept, found(), LatencyBudget(0.0, 25))
        eyes.now_s = 100.0 + i
    eyes.seen.clear()
    step(kept, row(32), LatencyBudget(eyes.now_s, 25))
    assert sorted(eyes.seen) == [300, 310]


def test_nobody_starves() -> None:
    """High scores keep coming, more than there is time for; low ones are decided all the same."""
    eyes, kept = warmed()
    decided = {}
    for i in range(200):
        captured_s = eyes.now_s = 10 + i / 30
        fresh = row(7, first=1000 + 7 * i, scores=[0.95] * 7)
        segments = found(
            *row(3, scores=[0.3] * 3).boxes, *fresh.boxes,
            ids=[0, 1, 2, *fresh.track_ids], scores=[0.3] * 3 + [0.95] * 7,
        )  # fmt: skip
        embedded = step(kept, segments, LatencyBudget(captured_s, 50))
        for track in np.flatnonzero(embedded.known[:3]).tolist():
            decided.setdefault(track, i / 30)
    assert set(decided) == {0, 1, 2}
    assert max(decided.values()) <= 1


def test_the_few_that_fit_do_not_hold_up_those_that_wait_long() -> None:
    """Each frame has time for one crop and no more; the longer the others wait, the more of them go over the budget."""
    eyes, kept = warmed(crop_s=0.03)
    counts: list[int] = []
    decided_s = 0.0
    for i in range(60):
        captured_s = eyes.now_s = max(eyes.now_s, i / 15)
        embedded = step(kept, row(30), LatencyBudget(captured_s, 50))
        counts.append(embedded.crops_embedded)
        assert eyes.now_s - captured_s <= 0.1001  # twice the budget
        if embedded.known.all():
            decided_s = eyes.now_s
            break
    assert set(counts[:9]) == {1}
    assert max(counts) == 2
    assert 0 < decided_s < 1.6  # one a frame: 2 s


def test_late_frames_decide_all_the_same_one_crop_at_a_time() -> None:
    """The segmenter alone takes up the budget: every frame is late."""
    eyes, kept = warmed(crop_s=0.02)
    counts, decided = [], {}
    for i in range(60):
        captured_s = i / 30
        eyes.now_s = max(eyes.now_s, captured_s + 0.08)
        began_s = eyes.now_s
        embedded = step(kept, row(5), LatencyBudget(captured_s, 50))
        assert eyes.now_s - began_s <= 0.0201
        counts.append(embedded.crops_embedded)
        for track in np.flatnonzero(embedded.known).tolist():
            decided.setdefault(track, i / 30)
    assert set(decided) == set(range(5))
    assert min(decided.values()) > 0.2
    assert max(decided.values()) <= 1
    assert max(counts) == 1


def test_work_without_time_to_spare_never_takes_more_than_half_of_it() -> None:
    eyes, kept = warmed(crop_s=0.2)
    eyes.now_s, spent = 100.0, 0.0
    for _ in range(300):
        captured_s = eyes.now_s - 0.1
        before_s = eyes.now_s
        step(kept, row(50), LatencyBudget(captured_s, 50))
        spent += eyes.now_s - before_s
        eyes.now_s += 0.033
    assert 0.2 < spent / (eyes.now_s - 100) <= 0.51


def test_a_refresh_that_never_finds_time_is_made_after_a_few_seconds() -> None:
    eyes, kept = warmed(crop_s=0.02)
    eyes.now_s = 0.0
    step(kept, row(1))
    made = []
    for i in range(1, 200):
        eyes.now_s = max(eyes.now_s, i / 30)
        made += [i / 30] * step(kept, row(1), LatencyBudget(i / 30, 10)).crops_embedded
    assert made
    assert 3 <= made[0] < 4


# What they are made of


def test_batch_times_are_learned_and_one_hiccup_rules_nothing_out() -> None:
    latency = BatchLatency()
    for _ in range(20):
        for size in LADDER:
            latency.record(size, 5.0 + size)
    assert latency.largest_batch(16, 22) == 16
    assert latency.largest_batch(5, 22) == 4
    assert latency.largest_batch(16, 12) == 4
    assert latency.largest_batch(16, 5.9) == 0
    assert latency.largest_batch(0, 100) == 0
    latency.record(16, 4000.0)
    assert latency.expected_ms(16) <= 2 * latency.expected_ms(8)
    for _ in range(30):
        latency.record(1, 12.0)
    assert latency.expected_ms(1) == pytest.approx(12, rel=0.1)


def test_urgency_has_no_nan_and_grows_with_age() -> None:
    table = TrackTable()
    table.add(np.arange(5, dtype=np.int32))
    records = table.records
    records["embed_count"], records["embedded_sides_px"], records["age_frames"] = 1, 0, [0, 1, 2, 3, 30]
    urgent = refresh_urgency(records, np.zeros((5, 2), np.float32), DEFAULT_SCHEDULE)
    assert np.isfinite(urgent).all()
    assert (np.diff(urgent) >= 0).all()
    assert (urgent >= 1).tolist() == (urgent > 0.99).tolist()
    assert urgent[4] >= 1


def test_an_embedding_on_a_much_larger_box_replaces_the_old_one() -> None:
    table = TrackTable()
    table.add(np.array([4], np.int32))
    table.records["embed_count"], table.records["embedded_sides_px"] = 1, 20
    old, new = np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32)
    mixed = {
        side: blend(table.records, old, np.full((1, 2), side, np.float32), new, DEFAULT_SCHEDULE)[0]
        for side in (20, 60)
    }
    assert mixed[20][0] > 0.4
    assert mixed[60][0] < 0.01
    np.testing.assert_allclose([np.linalg.norm(each) for each in mixed.values()], 1, atol=1e-6)
    np.testing.assert_allclose(
        blend(table.records, -new, np.full((1, 2), 20, np.float32), new, DEFAULT_SCHEDULE), new, atol=1e-6
    )
    table.records["embed_count"] = 0
    np.testing.assert_array_equal(
        blend(table.records, old, np.full((1, 2), 20, np.float32), new, DEFAULT_SCHEDULE), new
    )


def test_rows_are_found_whatever_the_order_and_the_history() -> None:
    table, generator, truth = TrackTable(), np.random.default_rng(2), {}
    table.set_dimensions(3)
    for _ in range(50):
        ids = generator.choice(2000, 60, replace=False).astype(np.int32)
        rows = table.find(ids)
        assert {int(i) for i, r in zip(ids, rows, strict=True) if r >= 0} == truth.keys() & set(ids.tolist())
        new = ids[rows < 0]
        table.add(new)
        table.vectors[table.find(new)] = new[:, None]
        truth |= dict.fromkeys(new.tolist(), True)
        kept = generator.random(len(table)) < 0.7
        truth = dict.fromkeys(table.records["id"][kept].tolist(), True)
        table.keep(kept)
        ids = np.array(list(truth), np.int32)
        np.testing.assert_array_equal(table.vectors[table.find(ids)][:, 1], ids)
