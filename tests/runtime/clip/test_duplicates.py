"""Duplicates: segments with the same box share one crop."""

from __future__ import annotations

import numpy as np

from fastsam_trt.clip.track_embedder import TrackEmbedder
from support.drawn_frames import (
    BOXES,
    COLOURS,
    MeanColourClip,
    drawn,
    embed_frame,
)


def test_segments_with_the_same_box_share_a_crop() -> None:
    clip = MeanColourClip()
    boxes = np.concatenate([BOXES, BOXES[:1] + 1, BOXES[:1] * (1, 1, 1, 1.3)]).astype(np.float32)
    embedder = TrackEmbedder(clip)
    embedded = embed_frame(embedder, drawn(*COLOURS), boxes)
    assert embedded.known.all()
    assert sorted(clip.seen) == [20, 20, 120, 220]  # the box that is one pixel off needs no crop
    np.testing.assert_array_equal(embedded.vectors[3], embedded.vectors[0])
    clip.seen.clear()
    now = drawn((200, 40, 40), *COLOURS[1:])
    embedded = embed_frame(embedder, now, boxes)  # both changed, and share one new crop
    assert embedded.known.all()
    assert clip.seen.count(20) == 2
    np.testing.assert_array_equal(embedded.vectors[3], embedded.vectors[0])
    with_new_track = np.concatenate([boxes, boxes[1:2]])
    assert embed_frame(embedder, now, with_new_track).known.all()
    assert clip.seen.count(120) == 0


def test_masked_segments_share_no_crop() -> None:
    clip = MeanColourClip()
    embed_frame(TrackEmbedder(clip, masked=True), drawn(*COLOURS), np.concatenate([BOXES, BOXES]))
    assert len(clip.seen) == 6


def test_a_chain_of_similar_boxes_is_embedded_in_one_frame() -> None:
    clip = MeanColourClip()
    sliding = np.array([[20 + i, 30, 80 + i, 90] for i in range(12)], np.float32)
    assert embed_frame(TrackEmbedder(clip), drawn(*COLOURS), sliding).known.all()
    assert len(clip.seen) < 7
