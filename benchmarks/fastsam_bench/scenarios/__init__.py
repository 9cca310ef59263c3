"""Scenarios, which measure blocks of timed calls; `make_scenario` makes the scenario of a case."""

from fastsam_bench.scenarios.live_stream import LiveStream
from fastsam_bench.scenarios.offline import Offline
from fastsam_bench.scenarios.scenario import Scenario, make_scenario
from fastsam_bench.scenarios.single_stream import SingleStream

__all__ = ["LiveStream", "Offline", "Scenario", "SingleStream", "make_scenario"]
