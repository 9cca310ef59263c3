"""From a case to its scenario."""

from __future__ import annotations

from fastsam_bench.cases.case import CellCase
from fastsam_bench.cases.opened_model import OpenedModel
from fastsam_bench.scenarios.live_stream import LiveStream
from fastsam_bench.scenarios.offline import Offline
from fastsam_bench.scenarios.scenario import Scenario
from fastsam_bench.scenarios.single_stream import SingleStream

_SCENARIOS: dict[str, type[Scenario]] = {"single": SingleStream, "offline": Offline, "live": LiveStream}


def make_scenario(case: CellCase, opened: OpenedModel) -> Scenario:
    """The scenario of a case, on a model that is open."""
    return _SCENARIOS[case.scenario](case, opened)
