"""Rounded values compare with their bounds as the numbers do."""

from __future__ import annotations

import math
import operator

import numpy as np
import pytest

from fastsam_engine.rounding import round_with_bound
from fastsam_export.errors import ParityError


@pytest.mark.parametrize(
    ("value", "bound", "texts"),
    [
        (1.000015139579773, 1.001, ("1", "1.001")),
        (1.0000189393758774, 2.001, ("1", "2.001")),
        (1.00002, 1.0, ("1.00002", "1")),
        (1.0, 1.00002, ("1", "1.00002")),
        (1.0, 1.0, ("1", "1")),
        (0.97996, 0.98, ("0.97996", "0.98")),
        (0.9999999999996743, 0.9999, ("1", "0.9999")),
        (0.004760742, 0.1, ("0.00476", "0.1")),
        (3.1e-05, 1e-2, ("3.1e-05", "0.01")),
        (math.nan, 1.0, ("nan", "1")),
        (math.inf, 1.0, ("inf", "1")),
        (float(np.nextafter(1.0, 2.0)), 1.0, ("1.0000000000000002", "1")),
    ],
)
def test_as_few_digits_as_show_the_side(value: float, bound: float, texts: tuple[str, str]) -> None:
    assert round_with_bound(value, bound) == texts


def test_any_pair_compares_as_it_is() -> None:
    rng = np.random.default_rng(0)
    for exponent in range(-17, 3):
        bound = float(rng.uniform(0.001, 10))
        for value in (bound * (1 + 10.0**exponent), bound * (1 - 10.0**exponent), bound):
            shown = [float(text) for text in round_with_bound(value, bound, 2)]
            for compare in (operator.lt, operator.gt, operator.eq):
                assert compare(*shown) == compare(value, bound), (value, bound)


def test_a_parity_error_never_looks_kept() -> None:
    error = ParityError("m.onnx", {"max_abs": 1.00100001, "min_iou": 0.979999}, {"max_abs": 1.001, "min_iou": 0.98},
                        ["max_abs", "min_iou"])  # fmt: skip
    assert "max_abs 1.00100001 (bound 1.001), min_iou 0.979999 (bound 0.98)" in str(error)
