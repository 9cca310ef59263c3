"""Scenarios: how frames come. Each makes blocks of timed calls; `make_scenario` gives that of a case."""

from fastsam_trt.bench.scenarios.live import LiveStream
from fastsam_trt.bench.scenarios.making import make_scenario
from fastsam_trt.bench.scenarios.offline import Offline
from fastsam_trt.bench.scenarios.scenario import Scenario
from fastsam_trt.bench.scenarios.single import SingleStream

__all__ = ["LiveStream", "Offline", "Scenario", "SingleStream", "make_scenario"]
