"""TrackEmbedder with a latency budget: which crops go first, which wait, and for how long."""

from __future__ import annotations

import numpy as np

from fastsam_trt.clip.embedder import LatencyBudget
from fastsam_trt.clip.track_embedder import TrackEmbedder
from fastsam_trt.masks.batch_ladder import LADDER
from support.made_tracks import FRAME, CountingClip, embed, row, segments_of, timed_embedder


def test_warming_runs_every_batch_size_and_keeps_nothing() -> None:
    clip = CountingClip(0.01)
    embedder = TrackEmbedder(clip, clock=clip.clock)
    embedder.warm(FRAME.shape)
    assert clip.batches == [size for size in reversed(LADDER) for _ in range(2)]
    assert len(embedder) == 0
    assert embed(embedder, row(2)).crops_embedded == 2


def test_high_scores_go_first_and_the_rest_follows_in_later_frames() -> None:
    clip, embedder = timed_embedder()
    scores = np.random.default_rng(0).permutation(20) / 20
    segments, known = row(20, scores=scores), []
    for i in range(6):
        captured_s = clip.now_s = 10 + i / 10
        embedded = embed(embedder, segments, LatencyBudget(captured_s, 50))
        assert clip.now_s - captured_s <= 0.0501
        assert not embedded.vectors[~embedded.known].any()
        np.testing.assert_allclose(np.linalg.norm(embedded.vectors[embedded.known], axis=1), 1, atol=1e-6)
        known.append(embedded.known.sum())
        if i == 0:
            assert set(np.flatnonzero(embedded.known)) == set(np.argsort(-scores)[: known[0]])
    assert 4 <= known[0] <= 5
    assert known[-1] == 20


def test_the_reserve_is_kept_up_to_a_share_of_the_budget() -> None:
    clip, embedder = timed_embedder()
    clip.now_s = 10.0
    assert embed(embedder, row(10), LatencyBudget(10.0, 50, reserve_ms=12)).crops_embedded == 3
    clip.now_s = 10.1  # one slow frame in a later stage does not use up the whole budget
    assert embed(embedder, row(10), LatencyBudget(10.1, 50, reserve_ms=1000)).crops_embedded == 3
    assert embed(embedder, row(10)).crops_embedded == 4


def test_without_a_budget_there_is_no_deadline() -> None:
    _, embedder = timed_embedder()
    assert embed(embedder, row(40)).known.all()


def test_new_crops_go_before_refreshes() -> None:
    clip, embedder = timed_embedder()
    embed(embedder, row(30))
    for i in range(10):
        embed(embedder, segments_of(), LatencyBudget(0.0, 25))
        clip.now_s = 100.0 + i
    clip.seen.clear()
    embed(embedder, row(32), LatencyBudget(clip.now_s, 25))
    assert sorted(clip.seen) == [300, 310]


def test_low_scores_are_decided_although_high_ones_keep_coming() -> None:
    """More crops of high score arrive than there is time for."""
    clip, embedder = timed_embedder()
    decided = {}
    for i in range(200):
        captured_s = clip.now_s = 10 + i / 30
        fresh = row(7, first=1000 + 7 * i, scores=[0.95] * 7)
        segments = segments_of(
            *row(3, scores=[0.3] * 3).boxes, *fresh.boxes,
            ids=[0, 1, 2, *fresh.track_ids], scores=[0.3] * 3 + [0.95] * 7,
        )  # fmt: skip
        embedded = embed(embedder, segments, LatencyBudget(captured_s, 50))
        for track in np.flatnonzero(embedded.known[:3]).tolist():
            decided.setdefault(track, i / 30)
    assert set(decided) == {0, 1, 2}
    assert max(decided.values()) <= 1


def test_overdue_crops_exceed_the_budget_more_the_longer_they_wait() -> None:
    """A frame has time for one crop; the longer the others wait, the more of them exceed the budget."""
    clip, embedder = timed_embedder(crop_s=0.03)
    counts: list[int] = []
    decided_s = 0.0
    for i in range(60):
        captured_s = clip.now_s = max(clip.now_s, i / 15)
        embedded = embed(embedder, row(30), LatencyBudget(captured_s, 50))
        counts.append(embedded.crops_embedded)
        assert clip.now_s - captured_s <= 0.1001  # twice the budget
        if embedded.known.all():
            decided_s = clip.now_s
            break
    assert set(counts[:9]) == {1}
    assert max(counts) == 2
    assert 0 < decided_s < 1.6  # with one crop per frame it would be 2 s


def test_late_frames_embed_one_overdue_crop_at_a_time() -> None:
    """The segmenter alone uses up the budget, so every frame is late."""
    clip, embedder = timed_embedder(crop_s=0.02)
    counts, decided = [], {}
    for i in range(60):
        captured_s = i / 30
        clip.now_s = max(clip.now_s, captured_s + 0.08)
        began_s = clip.now_s
        embedded = embed(embedder, row(5), LatencyBudget(captured_s, 50))
        assert clip.now_s - began_s <= 0.0201
        counts.append(embedded.crops_embedded)
        for track in np.flatnonzero(embedded.known).tolist():
            decided.setdefault(track, i / 30)
    assert set(decided) == set(range(5))
    assert min(decided.values()) > 0.2
    assert max(decided.values()) <= 1
    assert max(counts) == 1


def test_overdue_crops_take_at_most_half_of_the_time() -> None:
    clip, embedder = timed_embedder(crop_s=0.2)
    clip.now_s, spent = 100.0, 0.0
    for _ in range(300):
        captured_s = clip.now_s - 0.1
        before_s = clip.now_s
        embed(embedder, row(50), LatencyBudget(captured_s, 50))
        spent += clip.now_s - before_s
        clip.now_s += 0.033
    assert 0.2 < spent / (clip.now_s - 100) <= 0.51


def test_an_overdue_refresh_is_made_after_its_patience() -> None:
    clip, embedder = timed_embedder(crop_s=0.02)
    clip.now_s = 0.0
    embed(embedder, row(1))
    made = []
    for i in range(1, 200):
        clip.now_s = max(clip.now_s, i / 30)
        made += [i / 30] * embed(embedder, row(1), LatencyBudget(i / 30, 10)).crops_embedded
    assert made
    assert 3 <= made[0] < 4
