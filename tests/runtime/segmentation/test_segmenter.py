"""The segmenter's methods: segments with the time of their stages, by `segment` or by a call."""

from __future__ import annotations

import numpy as np
import pytest

from fastsam_trt import Segmenter
from support.colour_models import scene

FRAME = scene(("red", 1, 1), ("green", 1, 5), ("blue", 5, 1))


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter("colours")


def test_segments_carry_the_time_of_their_stages(segmenter: Segmenter) -> None:
    segments = segmenter.segment(FRAME)
    assert len(segments) == 3
    assert segments.speed_ms.keys() == {"preprocess", "segment"}
    assert all(ms > 0 for ms in segments.speed_ms.values())
    assert segments.take(np.array([2, 0])).speed_ms == segments.speed_ms


def test_a_call_segments(segmenter: Segmenter) -> None:
    called, segments = segmenter(FRAME), segmenter.segment(FRAME)
    np.testing.assert_array_equal(called.boxes, segments.boxes)
    np.testing.assert_array_equal(called.scores, segments.scores)
    for one, other in zip(called.masks.decode(range(3)), segments.masks.decode(range(3)), strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
