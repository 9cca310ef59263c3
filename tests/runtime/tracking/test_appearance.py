"""Appearance descriptors: the same at every size, and finite for every box."""

from __future__ import annotations

import cv2
import numpy as np

from fastsam_trt.tracking.appearance import describe_boxes
from support.drawn_frames import (
    BOXES,
    COLOURS,
    drawn,
)


def test_a_descriptor_is_the_same_at_every_size_and_finite_for_every_box() -> None:
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
