"""The parity record: the worst metrics over all comparisons, and errors beyond the bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("onnx")

from fastsam_export.errors import ParityError
from fastsam_export.parity import ParityRecorder, max_abs, min_cosine, synthetic_pictures

TOLERANCE = {"max_abs_score": 1e-3, "min_cosine": 0.9999}


def test_the_worst_of_all_comparisons_is_kept() -> None:
    recorder = ParityRecorder(TOLERANCE)
    recorder.add("a", {"max_abs_score": 1e-5, "min_cosine": 0.99995})
    recorder.add("b", {"max_abs_score": 9e-4, "min_cosine": 1.0})
    recorder.add("a", {"max_abs_score": 2e-5, "min_cosine": 0.99999})
    parity = recorder.close("m.onnx")
    assert parity.worst == {"max_abs_score": 9e-4, "min_cosine": 0.99995}
    assert parity.inputs == ("a", "b")
    assert parity.tolerance == TOLERANCE


@pytest.mark.parametrize(
    ("figures", "missed"),
    [
        ({"max_abs_score": 2e-3, "min_cosine": 1.0}, "max_abs_score 0.002"),
        ({"max_abs_score": 0.0, "min_cosine": 0.99}, "min_cosine 0.99"),
        ({"max_abs_score": math.nan, "min_cosine": 1.0}, "max_abs_score inf"),
        ({"max_abs_score": 0.0, "min_cosine": math.nan}, "min_cosine -inf"),
        ({"max_abs_score": 0.0}, "min_cosine nan"),
    ],
)
def test_a_miss_is_an_error(figures: dict[str, float], missed: str) -> None:
    recorder = ParityRecorder(TOLERANCE)
    recorder.add("a", figures)
    with pytest.raises(ParityError, match=r"m\.onnx") as caught:
        recorder.close("m.onnx")
    assert missed in str(caught.value)


def test_metrics() -> None:
    a = np.array([[1, 0], [0, 2]], np.float32)
    b = np.array([[1, 0], [2, 2]], np.float32)
    assert max_abs(a, b) == 2
    assert min_cosine(a, b) == pytest.approx(math.sqrt(0.5))


def test_drawn_pictures_are_the_same_every_time() -> None:
    first, again = synthetic_pictures(2, 60, 80), synthetic_pictures(2, 60, 80)
    np.testing.assert_array_equal(first, again)
    assert first[0].shape == (60, 80, 3)
    assert (first[0] != first[1]).any()
