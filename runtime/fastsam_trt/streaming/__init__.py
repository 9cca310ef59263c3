"""Run a pipeline over a source with its stages on threads: on the newest frame only, or on every frame.

    with open_source("cam0") as source, Flow(source, pipeline) as flow:
        for frame, result in flow:
            ...  # draw, write, show: on the calling thread

`flow.stats.snapshot()` gives ages, rates and queue lengths at any time, on any thread.
"""

from __future__ import annotations

import warnings
from typing import Any

from fastsam_trt.streaming.flow import Flow
from fastsam_trt.streaming.policy import Policy, resolve_policy
from fastsam_trt.streaming.stats import STAGES, FlowStats, Snapshot

__all__ = ["STAGES", "Flow", "FlowStats", "Policy", "Snapshot", "resolve_policy"]


def __getattr__(name: str) -> Any:
    if name == "FlowFigures":
        warnings.warn(
            "FlowFigures is now fastsam_trt.streaming.FlowStats; the old name works until the next minor version",
            DeprecationWarning,
            stacklevel=2,
        )
        return FlowStats
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
