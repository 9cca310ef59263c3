"""Build an ONNX graph into a serialised plan, with TensorRT 10 or later or with TensorRT-RTX.

Networks are strongly typed: the graph determines the precision. TensorRT-RTX also builds for GPUs of other machines.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastsam_engine.backends.tensorrt.api import create_builder
from fastsam_engine.backends.tensorrt.api_protocol import TensorRtApi
from fastsam_engine.backends.tensorrt.error_log import error_log
from fastsam_engine.concurrency.interruption import interruptible, named_interrupts
from fastsam_engine.errors import BuildError, BuildInterruptedError, BuildRequestError
from fastsam_engine.plans.build_request import BuildOptions, Progress
from fastsam_engine.plans.shape_ranges import ShapeRange
from fastsam_engine.store.weight_files import resolved_weights

if TYPE_CHECKING:
    import tensorrt as trt

_MEBIBYTE = 1 << 20
_ERRORS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """A serialised plan, and timings that speed up later builds (empty if the builder has none)."""

    plan: bytes
    timings: bytes


def build_plan(
    api: TensorRtApi,
    graph: Path,
    ranges: Mapping[str, ShapeRange],
    options: BuildOptions,
    timings: bytes = b"",
    progress: Progress = lambda _phase, _done, _of: None,
    using: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> BuiltPlan:
    """Build a plan. On the main thread it runs in a new thread, so that Ctrl-C stops it at its next step.

    Args:
        api: TensorRT or TensorRT-RTX.
        graph: An ONNX file.
        ranges: The shapes to support, by input name.
        options: Options that `check_options` has accepted.
        timings: From earlier builds with the same version on the same GPU; unsuitable ones are ignored.
        progress: Called with a phase's name, its finished steps and their number, on the builder's threads. What it
            raises stops the build and is raised again.
        using: Makes a GPU the current one of the building thread.

    Raises:
        BuildError: The graph can't be parsed or built.
        BackendFailedError: TensorRT can't use the GPU.
        BuildInterruptedError: The build was interrupted.
    """

    def work(stop: threading.Event) -> BuiltPlan:
        with using():
            return _build(api, graph, ranges, options, timings, _Steps(progress, stop))

    with named_interrupts(graph):
        return interruptible(work)


class _Steps:
    """Reports the progress of a build, and stops it on request."""

    def __init__(self, progress: Progress, stop: threading.Event) -> None:
        self._progress = progress
        self._stop = stop
        self._failure: BaseException | None = None

    def report_step(self, phase: str, done: int, of: int) -> bool:
        """Report a step; False stops the build. Never raises, since TensorRT would print the exception and lose it."""
        if not self._stop.is_set():
            try:
                self._progress(phase, done, of)
            except BaseException as error:  # noqa: BLE001 - raised again by `check`
                self._failure = self._failure or error
                self._stop.set()
        return not self._stop.is_set()

    def check(self, graph: Path) -> None:
        """Raise the reason why the build was stopped, if it was."""
        if self._failure is not None:
            raise self._failure
        if self._stop.is_set():
            raise BuildInterruptedError(graph)


def _build(
    api: TensorRtApi,
    graph: Path,
    ranges: Mapping[str, ShapeRange],
    options: BuildOptions,
    timings: bytes,
    steps: _Steps,
) -> BuiltPlan:
    log = error_log(api)
    logger = log.logger
    builder = create_builder(api)
    network = builder.create_network(1 << int(api.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = api.OnnxParser(network, logger)
    with resolved_weights(graph) as real, log.listening():  # the parser returns its errors
        parsed = parser.parse_from_file(str(real))
    if not parsed:
        refusals = "; ".join(_describe(parser.get_error(i)) for i in range(min(parser.num_errors, _ERRORS_SHOWN)))
        raise BuildError(graph, f"the parser refused it ({refusals})", "use --backend onnxruntime for this model")
    config = builder.create_builder_config()
    _configure(api, config, options)
    timing_cache = None
    if not known_targets(api):  # TensorRT-RTX measures nothing while it builds and ignores timings
        timing_cache = config.create_timing_cache(timings)
        if not config.set_timing_cache(timing_cache, ignore_mismatch=False):
            timing_cache = config.create_timing_cache(b"")
            config.set_timing_cache(timing_cache, ignore_mismatch=False)
    config.add_optimization_profile(_profile(api, builder, network, ranges, graph))
    monitor = _monitor(api, steps)
    config.progress_monitor = monitor
    steps.check(graph)
    with log.listening() as errors:
        plan = builder.build_serialized_network(network, config)
    steps.check(graph)
    if plan is None:
        raise BuildError(
            graph,
            f"the builder can't build it ({errors})",
            "try a larger --workspace, or --backend onnxruntime",
        )
    return BuiltPlan(_bytes(plan), b"" if timing_cache is None else _bytes(timing_cache.serialize()))


def known_targets(api: TensorRtApi) -> tuple[str, ...]:
    """The compute capabilities that a builder can target without such a GPU; none for TensorRT."""
    capabilities = getattr(api, "ComputeCapability", None)
    names = [] if capabilities is None else [name for name in dir(capabilities) if name.startswith("SM")]
    return tuple(sorted((name.lower() for name in names), key=lambda name: int(name[2:])))


def check_options(api: TensorRtApi, options: BuildOptions) -> None:
    """Refuse options that a builder does not support, before any work.

    Raises:
        BuildRequestError: An option is unknown or out of range.
    """
    known = known_targets(api)
    if options.targets and not known:
        raise BuildRequestError(
            "target", "none, since TensorRT builds for this machine's GPU", options.targets[0],
            "use --backend tensorrt-rtx to build for other GPUs",
        )  # fmt: skip
    for target in options.targets:
        if target not in known:
            raise BuildRequestError("target", f"one of {', '.join(known)}", target)
    if known and (options.hardware != "this" or options.version_compatible):
        found = options.hardware if options.hardware != "this" else "version compatible"
        raise BuildRequestError("compatibility", "none, since TensorRT-RTX has targets instead", found, "use --target")
    if not 0 <= options.optimization_level <= 5:
        raise BuildRequestError("level", "0 to 5", options.optimization_level)
    if options.workspace_mb is not None and options.workspace_mb < 1:
        raise BuildRequestError("workspace", "1 MiB or more", options.workspace_mb)


def _configure(api: TensorRtApi, config: Any, options: BuildOptions) -> None:
    """Set the options that do not depend on the network. Some methods of `config` exist in one of the builders only."""
    config.builder_optimization_level = options.optimization_level
    if options.workspace_mb is not None:
        config.set_memory_pool_limit(api.MemoryPoolType.WORKSPACE, options.workspace_mb * _MEBIBYTE)
    if not options.tf32:
        config.clear_flag(api.BuilderFlag.TF32)
    if options.hardware == "ampere-plus":
        config.hardware_compatibility_level = api.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.hardware == "same-capability":
        config.hardware_compatibility_level = api.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY
    if options.version_compatible:
        config.set_flag(api.BuilderFlag.VERSION_COMPATIBLE)
    if options.targets:
        capabilities = api.ComputeCapability  # type: ignore[attr-defined]  # TensorRT-RTX's only
        config.num_compute_capabilities = len(options.targets)
        for index, target in enumerate(options.targets):
            config.set_compute_capability(getattr(capabilities, target.upper()), index)


def _profile(
    api: TensorRtApi,
    builder: trt.Builder,
    network: trt.INetworkDefinition,
    ranges: Mapping[str, ShapeRange],
    graph: Path,
) -> trt.IOptimizationProfile:
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        given = network.get_input(index)
        declared = tuple(given.shape[i] for i in range(len(given.shape)))
        range_ = ranges.get(given.name)
        if range_ is None or len(range_.usual) != len(declared):
            found = "none" if range_ is None else str(range_.usual)
            raise BuildError(graph, f"expected a shape like {declared} for its input {given.name}, found {found}",
                             "export it again with: fastsam-trt export NAME")  # fmt: skip
        fixed = (
            api.Dims([n if of < 0 else of for n, of in zip(shape, declared, strict=True)])
            for shape in (range_.smallest, range_.usual, range_.largest)
        )
        profile.set_shape(given.name, *fixed)
    return profile


def _monitor(api: TensorRtApi, steps: _Steps) -> trt.IProgressMonitor:
    """TensorRT's monitor of a build; it must outlive the build."""

    class Monitor(api.IProgressMonitor):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return steps.report_step(phase_name, step + 1, self._steps.get(phase_name, step + 1))

    return Monitor()


def _describe(error: trt.ParserError) -> str:
    where = error.node_operator() or "graph"
    return f"{where} {error.node_name() or error.node()}: {error.desc()}".replace("\n", " ")


def _bytes(memory: Any) -> bytes:
    """A copy of TensorRT's host memory, which is a buffer although some of its type stubs do not say so."""
    return bytes(memoryview(memory))
