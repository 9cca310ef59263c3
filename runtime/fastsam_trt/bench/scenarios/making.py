"""From a case to its scenario."""

from __future__ import annotations

from fastsam_trt.bench.case import CellCase
from fastsam_trt.bench.opened_model import OpenedModel
from fastsam_trt.bench.scenarios.live import LiveStream
from fastsam_trt.bench.scenarios.offline import Offline
from fastsam_trt.bench.scenarios.scenario import Scenario
from fastsam_trt.bench.scenarios.single import SingleStream

_SCENARIOS: dict[str, type[Scenario]] = {"single": SingleStream, "offline": Offline, "live": LiveStream}


def make_scenario(case: CellCase, opened: OpenedModel) -> Scenario:
    """The scenario of a case, on a model that is open."""
    return _SCENARIOS[case.scenario](case, opened)
