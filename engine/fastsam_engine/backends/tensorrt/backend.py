"""Open and build plans, for the backends of TensorRT and TensorRT-RTX."""

from __future__ import annotations

import dataclasses
import logging
import threading
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import ClassVar

from fastsam_engine import packages
from fastsam_engine.backends.registry import Backend, Readiness, get_backend
from fastsam_engine.backends.tensorrt import api
from fastsam_engine.backends.tensorrt.api_protocol import TensorRtApi
from fastsam_engine.backends.tensorrt.cached_plans import CachedPlans, Check
from fastsam_engine.backends.tensorrt.gpu_interface import GpuInterface
from fastsam_engine.backends.tensorrt.plan_check.accuracy_check import check_accuracy
from fastsam_engine.backends.tensorrt.session import TensorRtSession
from fastsam_engine.errors import (
    BackendFailedError,
    BackendUnavailableError,
    BuildRequestError,
    ModelFileError,
    OutputError,
    one_line,
)
from fastsam_engine.gpus import Gpu, driver, gpus
from fastsam_engine.plans.build_request import BuildOptions, BuildReport, BuildRequest, Progress
from fastsam_engine.plans.engine_cache import EngineCache
from fastsam_engine.plans.plan_file import Flavour, Plan, PlanFacts, is_plan, read_plan
from fastsam_engine.plans.shape_ranges import ShapeRange
from fastsam_engine.session import ComputePrecision, OpenOptions, Session
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.spec_reader import read_spec

_logger = logging.getLogger(__name__)
_NO_CUDA_CORE = "cuda-core is not installed"
_AMPERE = 8, 0  # the first compute capability with TF32


class TensorRtBackend(Backend):
    """Runs plans, and builds missing ones. All its sessions on one GPU share a stream."""

    flavour: ClassVar[Flavour]
    speed_rank: ClassVar[int]

    def __init__(self) -> None:
        self._devices: dict[int, GpuInterface] = {}
        self._lock = threading.Lock()

    @abstractmethod
    def supports(self, gpu: Gpu) -> bool:
        """Whether the library supports a GPU."""

    @abstractmethod
    def target(self, gpu: Gpu) -> str:
        """Identify a GPU as far as plans depend on it, in words."""

    def readiness(self) -> Readiness:
        version = api.installed_version(self.flavour)
        if not version:
            return Readiness("", (), f"{self.flavour} is not installed", api.install_command(self.flavour))
        here = gpus()
        devices = tuple(_device_name(gpu) for gpu in here if self.supports(gpu))
        if not devices:
            found = ", ".join(f"{gpu.name} ({_capability(gpu)})" for gpu in here)
            why = found or f"no GPU with a driver: {'; '.join(driver().problems)}"
            return Readiness(version, (), f"expected a GPU that it supports, found {why}", "use --backend auto")
        if problem := api.driver_problem(self.flavour):
            return Readiness(version, (), problem, api.UPDATE_DRIVER)
        if not packages.version("cuda-core"):
            return Readiness(version, (), _NO_CUDA_CORE, api.install_command(self.flavour))
        unsupported = ", ".join(
            f"{gpu.device} {gpu.name} ({_capability(gpu)})" for gpu in here if not self.supports(gpu)
        )
        state = driver()
        broken = state.problems if state.is_broken else ()
        missing = "; ".join(each for each in (unsupported and f"it does not support {unsupported}", *broken) if each)
        reason = "runs a plan that was built for the GPU"
        return Readiness(version, devices, reason, speed_rank=self.speed_rank, missing=missing)

    def open(self, path: Path, spec: ModelSpec, device: str, precision: str, options: OpenOptions) -> Session:
        if precision not in ("auto", spec.precision):
            raise BackendUnavailableError(
                self.name,
                f"it computes this graph, which is {spec.precision}, as it is, not in {precision}",
                f"use --precision auto, or export it with --precision {precision}",
            )
        module = api.load(self.flavour)
        api.create_runtime(module)  # detects a driver that is too old before a long build
        gpu = _gpu(device)
        target = self.target(gpu)
        cache = EngineCache()
        if is_plan(path):
            plan = read_plan(path)
            _check_facts(path, plan.facts, self.flavour, module.__version__, target)
            if precision == "fp32" and _computed(plan, gpu) != "fp32":
                raise BackendUnavailableError(
                    self.name, "the plan may compute fp32 products in TF32",
                    "use --precision auto, or build it again with --no-tf32",
                )  # fmt: skip
            return self._session(path, plan, module, gpu, cache)
        plans = CachedPlans(self.flavour, module, target, cache)
        request = BuildRequest(path, spec, options=BuildOptions(tf32=precision != "fp32"))
        kept = plans.find(path, exact=precision == "fp32")
        if kept is not None:
            try:
                return self._session(path, kept, module, gpu, cache)
            except ModelFileError as error:  # such as after a change of the driver
                _logger.warning("the plan of %s in the engine cache can't be used: %s", path.name, error)
                request = dataclasses.replace(request, again=True)
        check_plan = self._check(request, module, gpu, cache)
        _logger.warning(
            "%s: building its plan for %s, which is done once and can take minutes (beforehand: fastsam-trt build)",
            path.name, target,
        )  # fmt: skip
        using = self._new_device(gpu).using  # TensorRT builds for the thread's current GPU
        built = plans.find_or_build(self._with_local_target(request, target), check=check_plan, using=using).plan
        return self._session(path, built, module, gpu, cache)

    def build(self, request: BuildRequest, device: str, progress: Progress) -> BuildReport:
        module = api.load(self.flavour)
        cache = EngineCache()
        here = self._gpus_to_build_on(device.removesuffix(":0"), request.options)
        target = self.target(here[0]) if here else ""
        request = self._with_local_target(request, target) if here else request
        runs_here = bool(here) and target in (request.options.targets or (target,))
        check_plan = self._check(request, module, here[0], cache) if runs_here else None
        using = self._new_device(here[0]).using if runs_here else nullcontext
        plans = CachedPlans(self.flavour, module, target, cache)
        built = plans.find_or_build(request, check=check_plan, progress=progress, using=using)
        facts = built.plan.facts
        return BuildReport(built.path, len(built.plan.data), built.built_s, facts.gpu, facts.parity)

    def _gpus_to_build_on(self, device: str, options: BuildOptions) -> list[Gpu]:
        """The GPUs of a device name; none if the build needs none."""
        known = [gpu for gpu in gpus() if self.supports(gpu)]
        here = [gpu for gpu in known if device in ("auto", _device_name(gpu))]
        without = "use --backend tensorrt-rtx --target sm89, which needs no GPU"
        if not here and device != "auto":
            names = ", ".join(f"{_device_name(gpu)} ({gpu.name})" for gpu in known)
            raise BuildRequestError("device", f"auto{' or ' if names else ''}{names}", device, without)
        if not here and not options.targets:
            raise BuildRequestError("target", "a GPU in this machine, or targets to build for", "neither", without)
        return here

    def _with_local_target(self, request: BuildRequest, target: str) -> BuildRequest:
        """The request; with this machine's GPU as its target if it names none."""
        return request

    def _session(
        self, path: Path, plan: Plan, module: TensorRtApi, gpu: Gpu, cache: EngineCache, *, keep: bool = True
    ) -> TensorRtSession:
        """Open a plan; `keep`: store the kernels that it compiles."""
        kept = self._kernels_path(cache, plan, gpu)
        device, precision = self._device(gpu), _computed(plan, gpu)
        return TensorRtSession(
            path, plan.spec, self.flavour, module, plan.data, device, precision,
            kernels=cache.byproduct(kept), keep_kernels=partial(cache.store_byproduct, kept) if keep else None,
            host_code=_serves_later(plan.facts), halves=plan.facts.options is None,
        )  # fmt: skip

    def _device(self, gpu: Gpu) -> GpuInterface:
        with self._lock:
            if gpu.index not in self._devices:
                self._devices[gpu.index] = self._new_device(gpu)
            return self._devices[gpu.index]

    def _new_device(self, gpu: Gpu) -> GpuInterface:
        """A GPU with a new stream."""
        from fastsam_engine.backends.tensorrt.cuda_device import CudaDevice

        try:
            return CudaDevice(gpu.index)
        except ImportError as error:
            found = packages.version("cuda-core")
            problem = f"expected cuda-core 1, found {found} ({one_line(error)})" if found else _NO_CUDA_CORE
            raise BackendFailedError(self.name, problem, api.install_command(self.flavour)) from error

    def _check(self, request: BuildRequest, module: TensorRtApi, gpu: Gpu, cache: EngineCache) -> Check:
        """A comparison with ONNX Runtime. That it is installed is checked now, not after minutes of building."""
        found = get_backend("onnxruntime").readiness()
        if not found.devices:
            raise BackendFailedError(
                self.name, f"a new plan is compared with ONNX Runtime, and {found.reason}", found.fix
            )

        def compare(spec: ModelSpec, plan: Plan, ranges: Mapping[str, ShapeRange]) -> dict[str, float]:
            graph_spec = read_spec(request.graph)
            reference = get_backend("onnxruntime").open(request.graph, graph_spec, "cpu", "auto", OpenOptions())
            with self._session(request.graph, plan, module, gpu, cache, keep=False) as session:
                metrics = check_accuracy(request.graph, spec, session, reference, ranges)
                if kernels := session.kernels():
                    with suppress(OutputError):  # if they can't be stored they are compiled again
                        cache.store_byproduct(self._kernels_path(cache, plan, gpu), kernels)
            return metrics

        return compare

    def _kernels_path(self, cache: EngineCache, plan: Plan, gpu: Gpu) -> Path:
        facts = plan.facts
        built = {
            "graph": facts.graph_sha256,
            "version": facts.version,
            "gpu": facts.gpu,
            "options": repr(facts.options),
            "here": self.target(gpu),  # a plan may serve several GPUs
        }
        key = {**built, "spec": plan.spec.to_json()}  # its input contains the shapes
        return cache.byproduct_path("kernels", self.flavour, key)


def _serves_later(facts: PlanFacts) -> bool:
    """Whether a plan also runs on later versions."""
    return facts.options is not None and facts.options.version_compatible


def _check_facts(path: Path, facts: PlanFacts, flavour: Flavour, version: str, target: str) -> None:
    """Refuse a plan that can't run here according to its sidecar."""
    again = "build it again on this machine with: fastsam-trt build MODEL"
    if facts.backend != flavour:
        raise ModelFileError(
            path, f"expected a plan of {flavour}, found one of {facts.backend}", f"use --backend {facts.backend}"
        )
    later = _serves_later(facts)
    if facts.version and facts.version != version and not later:
        raise ModelFileError(path, f"expected a plan of {flavour} {version}, found one of {facts.version}", again)
    if facts.gpu and not _fits(facts, target):
        raise ModelFileError(path, f"expected a plan for {target}, found one for {facts.gpu}", again)


def _fits(facts: PlanFacts, target: str) -> bool:
    """Whether a plan was built for a GPU; for `ampere-plus` that is left to TensorRT."""
    hardware = "this" if facts.options is None else facts.options.hardware
    if hardware == "same-capability":
        return facts.gpu.rpartition(" ")[2] == target.rpartition(" ")[2]
    return hardware == "ampere-plus" or target in (facts.gpu, *facts.gpu.split(", "))


def _computed(plan: Plan, gpu: Gpu) -> ComputePrecision:
    """The precision of a plan on a GPU."""
    rounds = plan.facts.options is not None and plan.facts.options.tf32 and gpu.compute_capability >= _AMPERE
    return "tf32" if rounds and plan.spec.precision == "fp32" else plan.spec.precision


def _gpu(device: str) -> Gpu:
    return next(gpu for gpu in gpus() if _device_name(gpu) == device)


def _device_name(gpu: Gpu) -> str:
    return "cuda" if gpu.index == 0 else gpu.device


def _capability(gpu: Gpu) -> str:
    return "sm{}{}".format(*gpu.compute_capability)
