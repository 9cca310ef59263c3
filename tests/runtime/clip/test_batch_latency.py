"""BatchLatency: batch times are measured, and one slow batch does not rule out its size."""

from __future__ import annotations

import pytest

from fastsam_trt.clip.batch_latency import BatchLatency
from fastsam_trt.masks.batch_ladder import LADDER


def test_one_slow_batch_does_not_rule_out_its_size() -> None:
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
