"""TrackEmbedder: when an object is embedded, and how few crops that takes."""

from __future__ import annotations

import numpy as np
import pytest

from fastsam_trt.clip.track_embedder import TrackEmbedder
from support.drawn_frames import BOXES, COLOURS, MeanColourClip, drawn, embed_frame
from support.made_tracks import FRAME, CountingClip, embed, row, segments_of


def test_new_tracks_are_embedded_at_once_in_batches_of_the_ladder() -> None:
    clip = CountingClip()
    embedder = TrackEmbedder(clip)
    embedded = embed(embedder, row(23))
    assert embedded.known.all()
    assert embedded.crops_embedded == 23
    assert clip.batches == [16, 4, 2, 1]
    np.testing.assert_allclose(embedded.vectors, CountingClip().embed_boxes(FRAME, row(23).boxes), atol=1e-6)
    again = embed(embedder, row(24))
    assert again.crops_embedded == 1
    np.testing.assert_array_equal(again.vectors[:23], embedded.vectors)


def test_a_track_is_embedded_ever_more_rarely() -> None:
    clip = CountingClip()
    embedder = TrackEmbedder(clip)
    frames = [i for i in range(600) if embed(embedder, row(1)).crops_embedded]
    gaps = np.diff(frames)
    assert 5 <= len(frames) <= 24
    assert (np.diff(gaps) >= 0).all()
    assert 20 <= gaps[-1] <= 90


def test_a_resized_box_is_refreshed_at_once_and_a_small_change_is_not() -> None:
    for width, height, reason in ((20, 20, False), (23, 22, False), (27, 20, True), (20, 14, True)):
        embedder = TrackEmbedder(CountingClip())
        embed(embedder, row(1))
        embedded = embed(embedder, segments_of((0, 0, width, height), ids=[0]))
        assert (embedded.crops_embedded == 1) is reason


def test_a_flickering_box_is_not_embedded_in_every_frame() -> None:
    embedder = TrackEmbedder(CountingClip())
    made = [embed(embedder, row(1, side=20 + 30 * (i % 2))).crops_embedded for i in range(40)]
    assert sum(made[20:]) <= 5


def test_a_close_decision_is_refreshed_sooner() -> None:
    first = {}
    for margin in (0.5, 0.01):
        embedder = TrackEmbedder(CountingClip())
        made = [i for i in range(60) if embed(embedder, row(1), margin=margin).crops_embedded]
        first[margin] = made[2]
    assert first[0.01] < first[0.5]


def test_the_smallest_margin_of_the_frame_counts() -> None:
    embedder, segments = TrackEmbedder(CountingClip()), row(2)
    embed(embedder, segments, margin=0.1)
    embedder.begin(segments)
    embedder.embed(FRAME, segments)
    embedder.record_margins(segments, np.array([0.4, 0.2], np.float32))
    embedder.record_margins(segments, np.array([0.3, np.nan], np.float32))
    embedder.record_margins(segments, np.array([0.6, 0.9], np.float32))
    np.testing.assert_allclose(embedder._table.records["margin"], [0.3, 0.2])


def test_refreshes_are_spread_over_frames_most_urgent_first() -> None:
    clip = CountingClip()
    embedder = TrackEmbedder(clip)
    for _ in range(40):
        embed(embedder, row(40))
    counts = []
    for i in range(90):
        clip.seen.clear()
        counts.append(embed(embedder, row(40)).crops_embedded)
        if i == 3:
            embed(embedder, segments_of(*row(40).boxes[:39], (390, 0, 490, 20), ids=range(40)))
            assert 390 in clip.seen
    assert max(counts) == 4
    assert sum(counts) > 30


def test_new_crops_and_refreshes_share_a_tenth_of_the_segments() -> None:
    embedder = TrackEmbedder(CountingClip())
    made = seen = 0
    for i in range(600):
        segments = row(20, first=i // 2, side=20 + 30 * (i % 2))  # one track in 40 is new, and every box flickers
        made, seen = made + embed(embedder, segments).crops_embedded, seen + 20
    assert 0.08 < made / seen < 0.106


def test_a_starved_refresh_is_made_despite_many_new_tracks() -> None:
    clip = CountingClip()
    embedder = TrackEmbedder(clip)
    for i in range(200):
        fresh = row(4, first=1 + 4 * i)
        embed(embedder, segments_of((7, 0, 27, 20), *fresh.boxes, ids=[0, *fresh.track_ids]))
    assert 2 <= clip.seen.count(7) <= 20
    assert len(clip.seen) == 800 + clip.seen.count(7)


def test_empty_frames_do_not_pay_off_a_debt() -> None:
    embedder = TrackEmbedder(CountingClip())
    made = 0
    for i in range(650):
        burst, at = divmod(i, 65)
        busy, quiet = row(20, first=100 + 20 * burst), row(1, side=20 + 30 * (at % 2))
        made += embed(embedder, busy if at < 4 else segments_of() if at == 4 else quiet).crops_embedded
    assert made <= 1.05 * 20 * 10  # one segment in seven is new


def test_a_segment_is_embedded_once_per_frame() -> None:
    clip = CountingClip()
    embedder = TrackEmbedder(clip)
    for _ in range(12):
        embedder.begin(row(30))
        before = len(clip.seen)
        asked = row(30), row(20, first=10), row(30)
        crops = sum(embedder.embed(FRAME, segments).crops_embedded for segments in asked)
        assert crops == len(clip.seen) - before
        assert len(set(clip.seen[before:])) == crops
        assert crops in (30, *range(4))


def test_a_subset_embeds_only_its_own_segments() -> None:
    clip = CountingClip()
    embedder = TrackEmbedder(clip)
    embedder.begin(row(10))
    subset = row(10).take(np.array([7, 2]))
    embedded = embedder.embed(FRAME, subset)
    assert sorted(clip.seen) == [20, 70]
    np.testing.assert_allclose(embedded.vectors, CountingClip().embed_boxes(FRAME, subset.boxes), atol=1e-6)


def test_lost_tracks_are_dropped_and_memory_is_bounded() -> None:
    embedder = TrackEmbedder(CountingClip(), max_lost_frames=5)
    for start in range(0, 4000, 100):
        embed(embedder, row(100, first=start))
    assert len(embedder) == 600
    for _ in range(6):
        embed(embedder, row(1, first=4000))
    assert len(embedder) == 1
    assert len(embedder._table._records) < 600
    assert embed(embedder, row(2, first=3999)).crops_embedded == 1
    embedder.reset()
    assert len(embedder) == 0


def test_a_lost_track_that_returns_keeps_its_embedding() -> None:
    clip = CountingClip()
    embedder = TrackEmbedder(clip)
    was = embed(embedder, row(3)).vectors[1]
    embed(embedder, segments_of(*row(3).boxes[[0, 2]], ids=[0, 2]))
    np.testing.assert_array_equal(embed(embedder, row(3)).vectors[1], was)
    assert len(clip.seen) == 3


def test_segments_without_a_track_are_embedded_in_every_call() -> None:
    clip = CountingClip()
    embedder = TrackEmbedder(clip, clock=clip.clock)
    mixed = segments_of(*row(4).boxes, ids=[-1, 5, -1, 6])
    for turn in range(3):
        embedded = embed(embedder, mixed)
        assert embedded.known.all()
        np.testing.assert_allclose(embedded.vectors, CountingClip().embed_boxes(FRAME, mixed.boxes), atol=1e-6)
        assert embedded.crops_embedded == (4 if turn == 0 else 2)


def test_masked_crops_are_embedded_masked() -> None:
    plain, masked = (embed(TrackEmbedder(CountingClip(), masked=each), row(2)).vectors for each in (False, True))
    np.testing.assert_array_equal(plain, -masked)


def test_frames_without_segments_have_no_embeddings() -> None:
    embedder = TrackEmbedder(CountingClip())
    assert embed(embedder, segments_of()).vectors.shape[0] == 0
    embed(embedder, row(2))
    assert embed(embedder, segments_of()).known.shape == (0,)


@pytest.mark.parametrize(
    ("margin", "resized_from", "expected"),
    [
        (0.5, None, [0, 3, 13, 43, 133]),
        (0.0, None, [0, 1, 5, 15, 45, 75, 105, 135]),
        (0.5, 60, [0, 3, 13, 43, 60, 150]),
    ],
    ids=["clear decision", "at the threshold", "resized"],
)
def test_the_timeline_of_the_documentation_is_true(
    margin: float, resized_from: int | None, expected: list[int]
) -> None:
    embedder = TrackEmbedder(CountingClip())
    frames = []
    for i in range(160):
        side = 20 if resized_from is None or i < resized_from else 40
        if embed(embedder, row(1, side=side), margin=margin).crops_embedded:
            frames.append(i)
    assert frames == expected


def test_the_timeline_of_an_object_that_turns_blue_is_true() -> None:
    embedder, frames = TrackEmbedder(MeanColourClip()), []
    for i in range(160):
        shown = drawn(COLOURS[0] if i < 60 else (200, 40, 40), *COLOURS[1:])
        if embed_frame(embedder, shown, BOXES[:1]).crops_embedded:
            frames.append(i)
    assert frames == [0, 3, 13, 43, 60, 150]


def test_the_refreshes_of_thirty_objects_are_those_of_the_documentation() -> None:
    embedder = TrackEmbedder(CountingClip())
    crops = np.array([embed(embedder, row(30)).crops_embedded for _ in range(160)])
    assert np.flatnonzero(crops).tolist() == [0, *range(8, 30), *range(48, 60), *range(138, 150)]
    assert crops[0] == 30
    assert crops[1:].max() == 3
