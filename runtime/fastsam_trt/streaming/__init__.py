"""Running a pipeline over a source with its stages on threads: the newest frame only, or every frame.

    with open_source("cam0") as source, Flow(source, pipeline) as flow:
        for frame, result in flow:
            ...  # drawing, writing, showing: on the caller's thread

`flow.figures.snapshot()` tells ages, rates and queues at any time, to any thread.
"""

from fastsam_trt.streaming.flow import Flow
from fastsam_trt.streaming.policy import Policy, resolve_policy
from fastsam_trt.streaming.stats import STAGES, FlowFigures, Snapshot

__all__ = ["STAGES", "Flow", "FlowFigures", "Policy", "Snapshot", "resolve_policy"]
