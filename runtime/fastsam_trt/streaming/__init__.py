"""Run a pipeline over a source with its stages on threads: on the newest frame only, or on every frame.

    with open_source("cam0") as source, Flow(source, pipeline) as flow:
        for frame, result in flow:
            ...  # draw, write, show: on the calling thread

`flow.stats.snapshot()` gives ages, rates and queue lengths at any time, on any thread.
"""

from __future__ import annotations

from fastsam_engine.import_names import renamed_names
from fastsam_trt.streaming.flow import Flow
from fastsam_trt.streaming.policy import Policy, resolve_policy
from fastsam_trt.streaming.stats import STAGES, FlowStats, Snapshot

__all__ = ["STAGES", "Flow", "FlowStats", "Policy", "Snapshot", "resolve_policy"]

__getattr__ = renamed_names(__name__, {"FlowFigures": "FlowStats"})
