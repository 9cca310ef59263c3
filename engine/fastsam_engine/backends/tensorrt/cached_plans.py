"""Find the plan of a graph in the cache, or build and check it."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from fastsam_engine.backends.tensorrt.api_protocol import TensorRtApi
from fastsam_engine.backends.tensorrt.plan_builder import build_plan, check_options
from fastsam_engine.concurrency.interruption import named_interrupts
from fastsam_engine.errors import FastsamError, OutputError
from fastsam_engine.plans.build_request import BuildRequest, Progress
from fastsam_engine.plans.engine_cache import EngineCache
from fastsam_engine.plans.plan_file import Flavour, Plan, PlanFacts, read_facts, write_plan
from fastsam_engine.plans.shape_ranges import ShapeRange, plan_spec, shape_ranges
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.store.atomic_files import check_writable, file_sha256

_logger = logging.getLogger(__name__)

Check = Callable[[ModelSpec, Plan, Mapping[str, ShapeRange]], dict[str, float]]
"""Compares a plan with its graph, given the graph's spec, the plan and its shapes: metrics, or a BuildError."""

Using = Callable[[], AbstractContextManager[None]]
"""Makes a GPU the calling thread's current one."""


@dataclass(frozen=True, slots=True)
class AvailablePlan:
    """A plan from the cache or from a build.

    Attributes:
        plan: The plan.
        path: Its file; None if the cache could not be written.
        built_s: How long the build took, seconds; None if the plan was in the cache.
    """

    plan: Plan
    path: Path | None
    built_s: float | None


class CachedPlans:
    """The plans of one builder on one machine."""

    def __init__(self, flavour: Flavour, api: TensorRtApi, gpu: str, cache: EngineCache) -> None:
        """Prepare.

        Args:
            flavour: The builder.
            api: Its module.
            gpu: This machine's GPU, in words; part of the key of its plans.
            cache: The cache of plans.
        """
        self._flavour: Flavour = flavour
        self._api = api
        self._gpu = gpu
        self._cache = cache

    def find_or_build(
        self,
        request: BuildRequest,
        *,
        check: Check | None = None,
        progress: Progress = lambda _phase, _done, _of: None,
        using: Using = nullcontext,
    ) -> AvailablePlan:
        """The plan of a graph, from the cache or newly built.

        Args:
            request: The graph, and how to build it.
            check: Compares a built plan with its graph; None: there is no GPU to run it on.
            progress: See `build_plan`; also called while another process builds the same plan.
            using: See `build_plan`.

        Raises:
            BuildRequestError, BuildError: See `build_plan`, and what `check` raises.
            BuildInterruptedError: It was interrupted at any point; nothing is kept.
            OutputError: `request.out` can't be written. A cache that can't be written only causes a warning.
        """
        with named_interrupts(request.graph):
            return self._find_or_build(request, check, progress, using)

    def _find_or_build(
        self, request: BuildRequest, check: Check | None, progress: Progress, using: Using
    ) -> AvailablePlan:
        check_options(self._api, request.options)
        ranges = shape_ranges(request.spec, batch=request.batch, imgsz=request.imgsz)
        facts = self._facts(request)
        if request.out is not None:
            check_writable(request.out)
            plan, built_s = self._build(request, facts, ranges, check, progress, using)
            write_plan(request.out, plan)
            return AvailablePlan(plan, request.out, built_s)
        path = self._cache.path(self._flavour, request.graph.stem, self._key(request, facts, ranges))
        found = None if request.again else self._cache.load(path)
        if found is not None:
            return AvailablePlan(found, path, None)
        built = None
        try:
            with self._cache.building(path, lambda: progress("waiting for another build", 0, 1)):
                found = None if request.again else self._cache.load(path)  # another process may have built it meanwhile
                if found is not None:
                    return AvailablePlan(found, path, None)
                built = self._build(request, facts, ranges, check, progress, using)
                self._cache.store(path, built[0])
                return AvailablePlan(built[0], path, built[1])
        except OutputError as error:
            _logger.warning("the plan of %s is not cached: %s", request.graph.name, error)
        plan, built_s = built or self._build(request, facts, ranges, check, progress, using)
        return AvailablePlan(plan, None, built_s)

    def find(self, graph: Path, *, exact: bool) -> Plan | None:
        """The most recently used plan of a graph in the cache for this builder and GPU; None if there is none.

        Args:
            graph: The ONNX file.
            exact: Whether TF32 is not allowed.
        """
        paths = self._cache.plans(self._flavour, graph.stem)
        wanted = file_sha256(graph) if paths else ""
        for path in paths:
            try:
                facts = read_facts(path)[1]  # unsuitable plans are neither read nor marked as used
            except (FastsamError, OSError):
                continue
            serves = facts.graph_sha256 == wanted and facts.version == self._api.__version__
            here = self._gpu in (facts.gpu, *facts.gpu.split(", "))
            rounds = facts.options is not None and facts.options.tf32
            if serves and here and not (exact and rounds):
                plan = self._cache.load(path)
                if plan is not None and plan.facts == facts:
                    return plan
        return None

    def _build(
        self,
        request: BuildRequest,
        facts: PlanFacts,
        ranges: Mapping[str, ShapeRange],
        check: Check | None,
        progress: Progress,
        using: Using,
    ) -> tuple[Plan, float]:
        kept_at = self._cache.byproduct_path(
            "timings", self._flavour, {"version": self._api.__version__, "gpu": self._gpu}
        )
        start = time.perf_counter()
        timings = self._cache.byproduct(kept_at)
        built = build_plan(self._api, request.graph, ranges, request.options, timings, progress, using)
        plan = Plan(plan_spec(request.spec, ranges), facts, built.plan)
        if check is not None:
            progress("comparing with the graph", 0, 1)
            metrics = check(request.spec, plan, ranges)
            plan = dataclasses.replace(plan, facts=dataclasses.replace(facts, parity=metrics))
        if built.timings and built.timings != timings:
            try:
                self._cache.store_byproduct(kept_at, built.timings)
            except OutputError as error:
                _logger.debug("the builder's timings are not kept: %s", error)
        return plan, time.perf_counter() - start

    def _facts(self, request: BuildRequest) -> PlanFacts:
        return PlanFacts(
            backend=self._flavour,
            version=self._api.__version__,
            gpu=", ".join(request.options.targets) or self._gpu,
            graph_sha256=file_sha256(request.graph),
            options=request.options,
        )

    def _key(self, request: BuildRequest, facts: PlanFacts, ranges: Mapping[str, ShapeRange]) -> dict[str, object]:
        return {
            "graph": facts.graph_sha256,
            "version": facts.version,
            "gpu": facts.gpu,
            "ranges": {name: dataclasses.astuple(each) for name, each in ranges.items()},
            "options": dataclasses.asdict(request.options),
        }
