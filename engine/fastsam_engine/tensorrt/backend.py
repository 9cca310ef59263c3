"""TensorRtBackend: what the backends of TensorRT and TensorRT-RTX share: opening graphs and plans, building plans."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from fastsam_engine.backends.registry import Backend, Readiness
from fastsam_engine.build_request import BuildOptions, BuildReport, BuildRequest, Progress
from fastsam_engine.engine_cache import EngineCache
from fastsam_engine.errors import BackendUnavailableError, BuildRequestError, ModelFileError, OutputError
from fastsam_engine.model_spec import ModelSpec
from fastsam_engine.open_options import OpenOptions
from fastsam_engine.session import Session
from fastsam_engine.tensorrt import api
from fastsam_engine.tensorrt.checking import check
from fastsam_engine.tensorrt.device import Device
from fastsam_engine.tensorrt.engines import Engines
from fastsam_engine.tensorrt.gpus import Gpu, gpus
from fastsam_engine.tensorrt.plan_file import Plan, PlanFacts, is_plan, read_plan
from fastsam_engine.tensorrt.profiles import ShapeRange
from fastsam_engine.tensorrt.session import TensorRtSession

_Check = Callable[[ModelSpec, Plan, Mapping[str, ShapeRange]], dict[str, float]]


class TensorRtBackend(Backend):
    """Runs plans, and builds those that are missing. Its sessions of one GPU share a queue."""

    flavour: ClassVar[api.Flavour]
    speed_rank: ClassVar[int]

    def __init__(self) -> None:
        self._devices: dict[int, Device] = {}

    @abstractmethod
    def serves(self, gpu: Gpu) -> bool:
        """Whether the library knows a GPU."""

    @abstractmethod
    def target(self, gpu: Gpu) -> str:
        """The GPU, as far as plans depend on it."""

    def readiness(self) -> Readiness:
        version = api.installed_version(self.flavour)
        if not version:
            return Readiness("", (), f"{self.flavour} is not installed", api.install_command(self.flavour))
        here = gpus()
        devices = tuple(_device_name(gpu) for gpu in here if self.serves(gpu))
        if not devices:
            found = ", ".join(f"{gpu.name} ({_capability(gpu)})" for gpu in here) or "no GPU with a driver"
            return Readiness(version, (), f"expected a GPU that it knows, found {found}", "use --backend auto")
        return Readiness(version, devices, "runs a plan that was built for the GPU", speed_rank=self.speed_rank)

    def open(self, path: Path, spec: ModelSpec, device: str, precision: str, options: OpenOptions) -> Session:
        if precision not in ("auto", spec.precision):
            raise BackendUnavailableError(
                self.name,
                f"it computes this graph, which is {spec.precision}, as it is, not in {precision}",
                f"use --precision auto, or export it with --precision {precision}",
            )
        module = api.load(self.flavour)
        gpu = _gpu(device)
        target = self.target(gpu)
        if is_plan(path):
            plan = read_plan(path)
            _check_facts(path, plan.facts, self.flavour, module.__version__, target)
            return self._session(path, plan, module, gpu)
        cache = EngineCache()
        engines = Engines(self.flavour, module, target, cache)
        plan_kept = engines.find(path, exact=precision == "fp32")
        if plan_kept is None:
            request = BuildRequest(path, spec, options=BuildOptions(tf32=precision != "fp32"))
            plan_kept = engines.get(
                self._for_here(request, target), check=self._check(request, module, gpu, cache)
            ).plan
        return self._session(path, plan_kept, module, gpu, cache.byproduct(self._kernels_path(cache, plan_kept)))

    def build(self, request: BuildRequest, device: str, progress: Progress) -> BuildReport:
        module = api.load(self.flavour)
        cache = EngineCache()
        here = [gpu for gpu in gpus() if self.serves(gpu) and device in ("auto", _device_name(gpu))]
        if not here and not request.options.targets:
            raise BuildRequestError(
                "target", "a GPU here, or the ones to build for", "neither",
                "use --backend tensorrt-rtx --target sm89, which needs no GPU",
            )  # fmt: skip
        target = self.target(here[0]) if here else ""
        request = self._for_here(request, target) if here else request
        runs_here = bool(here) and request.options.targets in ((), (target,))
        check_plan = self._check(request, module, here[0], cache) if runs_here else None
        engine = Engines(self.flavour, module, target, cache).get(request, check=check_plan, progress=progress)
        facts = engine.plan.facts
        return BuildReport(engine.path, len(engine.plan.data), engine.built_s, facts.gpu, facts.parity)

    def _for_here(self, request: BuildRequest, target: str) -> BuildRequest:
        """The request, for the GPU here where it names none."""
        return request

    def _session(
        self, path: Path, plan: Plan, module: api.TensorRtApi, gpu: Gpu, kernels: bytes = b""
    ) -> TensorRtSession:
        return TensorRtSession(
            path, plan.spec, self.flavour, module, plan.data, self._device(gpu), plan.spec.precision, kernels=kernels
        )

    def _device(self, gpu: Gpu) -> Device:
        if gpu.index not in self._devices:
            from fastsam_engine.tensorrt.cuda_device import CudaDevice

            self._devices[gpu.index] = CudaDevice(gpu.index)
        return self._devices[gpu.index]

    def _check(self, request: BuildRequest, module: api.TensorRtApi, gpu: Gpu, cache: EngineCache) -> _Check:
        def compare(spec: ModelSpec, plan: Plan, ranges: Mapping[str, ShapeRange]) -> dict[str, float]:
            from fastsam_engine.opening import open_session

            reference = open_session(request.graph, "onnxruntime", "cpu")
            session = self._session(request.graph, plan, module, gpu)
            try:
                figures = check(request.graph, spec, session, reference, ranges)
                if kernels := session.kernels():
                    with suppress(OutputError):  # they are compiled again where they can't be kept
                        cache.store_byproduct(self._kernels_path(cache, plan), kernels)
            finally:
                session.close()
            return figures

        return compare

    def _kernels_path(self, cache: EngineCache, plan: Plan) -> Path:
        facts = plan.facts
        key = {"graph": facts.graph_sha256, "version": facts.version, "gpu": facts.gpu, "options": facts.options}
        return cache.byproduct_path("kernels", self.flavour, key)


def _check_facts(path: Path, facts: PlanFacts, flavour: api.Flavour, version: str, target: str) -> None:
    """Refuse a plan whose sidecar says that it can't run here."""
    again = "build it again on this machine with: fastsam-trt build MODEL"
    if facts.backend != flavour:
        raise ModelFileError(
            path, f"expected a plan of {flavour}, found one of {facts.backend}", f"use --backend {facts.backend}"
        )
    later = "version_compatible True" in facts.options
    if facts.version and facts.version != version and not later:
        raise ModelFileError(path, f"expected a plan of {flavour} {version}, found one of {facts.version}", again)
    anywhere = "hardware this" not in facts.options
    if facts.gpu and target not in (facts.gpu, *facts.gpu.split(", ")) and not anywhere:
        raise ModelFileError(path, f"expected a plan for {target}, found one for {facts.gpu}", again)


def _gpu(device: str) -> Gpu:
    return next(gpu for gpu in gpus() if _device_name(gpu) == device)


def _device_name(gpu: Gpu) -> str:
    return "cuda" if gpu.index == 0 else gpu.device


def _capability(gpu: Gpu) -> str:
    return "sm{}{}".format(*gpu.compute_capability)
