"""The limits of a cell's stages, from the cost of its networks and the ceilings of the machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from fastsam_bench.cases.opened_model import OpenedModel
from fastsam_bench.errors import GraphCountError
from fastsam_bench.results.records import Ceiling, StageLimit
from fastsam_bench.roofline.ceilings import Ceilings, higher_ceilings, measure_ceilings
from fastsam_bench.roofline.limits import stage_limit
from fastsam_bench.roofline.operations import GraphCosts, session_costs
from fastsam_bench.timing.stage_clock import Shapes
from fastsam_engine import Session
from fastsam_engine.errors import BackendUnavailableError
from fastsam_engine.session import ComputePrecision

_logger = logging.getLogger(__name__)
_Engine = tuple[str, str, ComputePrecision]


class Limits:
    """The ceilings of every engine of a run and the costs of its graphs, each computed once."""

    def __init__(self, samples: int) -> None:
        """Create it without ceilings; see `measure`.

        Args:
            samples: Number of samples per probe of a ceiling.
        """
        self._samples = samples
        self._ceilings: dict[_Engine, Ceilings | None] = {}
        self._costs: dict[tuple[object, ...], GraphCosts | None] = {}

    def measure(self, sessions: Iterable[Session], show: Callable[[str], None]) -> Iterable[Ceiling]:
        """Measure the ceilings of the engines of sessions: backend, device and precision.

        Raises:
            PackagesMissingError: The extra `[bench]` is not installed.
        """
        for session in sessions:
            engine = _engine_of(session)
            if engine in self._ceilings:
                continue
            show(f"ceilings of {' '.join(engine)}")
            try:
                found = self._ceilings[engine] = measure_ceilings(*engine, samples=self._samples)
            except BackendUnavailableError as error:  # the probes can't be computed in the precision of this graph
                self._ceilings[engine] = None
                _logger.warning("no ceilings of %s, therefore no limits: %s", " ".join(engine), error)
            else:
                yield found.record

    def measure_again(self, show: Callable[[str], None]) -> Iterable[Ceiling]:
        """Measure the ceilings again; from now on the higher value of each counts."""
        for engine, before in self._ceilings.items():
            if before is not None:
                show(f"ceilings of {' '.join(engine)} again")
                again = measure_ceilings(*engine, samples=self._samples)
                found = self._ceilings[engine] = higher_ceilings(before, again)
                yield found.record

    def of_cell(
        self, opened: OpenedModel, shapes: Mapping[str, list[Shapes]], medians_ms: Mapping[str, float]
    ) -> dict[str, StageLimit]:
        """The limits of the stages `engine` and `clip`; that of `clip` is the limit of its network.

        Args:
            opened: The model of the cell.
            shapes: Input shapes of the networks in one call: of `engine`, and of `tower`.
            medians_ms: Medians of the stages.
        """
        sessions = {"engine": ("engine", opened.session)}
        if (clip := opened.pipeline.clip) is not None:
            sessions["clip"] = ("tower", clip.session)
        found = {}
        for stage, (watched, session) in sessions.items():
            if shapes.get(watched) and medians_ms.get(stage, 0) > 0:
                limit = self._limit(session, shapes[watched], medians_ms[stage])
                if limit is not None:
                    found[stage] = limit
        return found

    def _limit(self, session: Session, runs: list[Shapes], measured_ms: float) -> StageLimit | None:
        """The limit of several runs one after the other, which may have different batches."""
        ceilings = self._ceilings.get(_engine_of(session))
        counted = [self._count(session, shapes) for shapes in runs]
        costs = [each for each in counted if each is not None]
        if ceilings is None or len(costs) < len(counted):
            return None
        limits = [stage_limit(each.operations, each.minimal_bytes, measured_ms, ceilings) for each in costs]
        compute_ms, memory_ms = sum(each.compute_ms for each in limits), sum(each.memory_ms for each in limits)
        return StageLimit(
            gflop=sum(each.gflop for each in limits),
            gbytes=sum(each.gbytes for each in limits),
            compute_ms=compute_ms,
            memory_ms=memory_ms,
            percent=100 * max(compute_ms, memory_ms) / measured_ms,
            binds="compute" if compute_ms >= memory_ms else "memory",
        )

    def _count(self, session: Session, shapes: Shapes) -> GraphCosts | None:
        key = (session.path, session.precision, *sorted(shapes.items()))
        if key not in self._costs:
            try:
                self._costs[key] = session_costs(session, shapes)
            except GraphCountError as error:
                self._costs[key] = None
                _logger.warning("no limits: %s", error)
        return self._costs[key]


def _engine_of(session: Session) -> _Engine:
    return session.backend, session.device, session.precision
