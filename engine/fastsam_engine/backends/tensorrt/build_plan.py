"""build_plan: an ONNX graph to a serialised plan, on TensorRT 10 or later or on TensorRT-RTX.

Networks are strongly typed: precision is what the graph says. TensorRT-RTX builds for GPUs that are not there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastsam_engine.backends.tensorrt.api import TensorRtApi, create_builder
from fastsam_engine.backends.tensorrt.error_log import error_log
from fastsam_engine.concurrency.interruption import interruptible, named_interrupts
from fastsam_engine.errors import BuildError, BuildInterruptedError, BuildRequestError
from fastsam_engine.plans.build_request import BuildOptions, Progress
from fastsam_engine.plans.shape_ranges import ShapeRange
from fastsam_engine.store.weight_files import beside_its_weights

if TYPE_CHECKING:
    import tensorrt as trt

_MEBIBYTE = 1 << 20
_ERRORS_TOLD = 3


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """A serialised plan, and the timings that later builds start from (empty where the builder keeps none)."""

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
    """Build a plan, on a thread of its own where this is the main one: Ctrl-C stops the build at its next step.

    Args:
        api: TensorRT or TensorRT-RTX.
        graph: An ONNX file.
        ranges: The shapes to serve, by input.
        options: See there; `check_options` has passed them.
        timings: Of earlier builds with the same version on the same GPU; what does not fit is passed over.
        progress: Told a phase's name, its steps done and how many there are, from the builder's threads. What it
            raises stops the build and is raised again.
        using: Makes a GPU the current one of the thread that builds.

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
    """Passes on how far a build is, and says whether it is to go on."""

    def __init__(self, progress: Progress, stop: threading.Event) -> None:
        self._progress = progress
        self._stop = stop
        self._failure: BaseException | None = None

    def goes_on(self, phase: str, done: int, of: int) -> bool:
        """Tell of a step. Never raises: TensorRT would print that and lose it."""
        if not self._stop.is_set():
            try:
                self._progress(phase, done, of)
            except BaseException as error:  # noqa: BLE001 - raised again by `check`
                self._failure = self._failure or error
                self._stop.set()
        return not self._stop.is_set()

    def check(self, graph: Path) -> None:
        """Raise what stopped the build, if anything did."""
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
    with beside_its_weights(graph) as real, log.listening():  # the parser tells its errors itself
        parsed = parser.parse_from_file(str(real))
    if not parsed:
        errors = "; ".join(_describe(parser.get_error(i)) for i in range(min(parser.num_errors, _ERRORS_TOLD)))
        raise BuildError(graph, f"the parser refused it ({errors})", "use --backend onnxruntime for this model")
    config = builder.create_builder_config()
    _configure(api, config, options)
    kept_timings = None
    if not known_targets(api):  # TensorRT-RTX, which times nothing while it builds, passes over timings
        kept_timings = config.create_timing_cache(timings)
        if not config.set_timing_cache(kept_timings, ignore_mismatch=False):
            kept_timings = config.create_timing_cache(b"")
            config.set_timing_cache(kept_timings, ignore_mismatch=False)
    config.add_optimization_profile(_profile(api, builder, network, ranges, graph))
    monitor = _monitor(api, steps)
    config.progress_monitor = monitor
    steps.check(graph)
    with log.listening() as told:
        plan = builder.build_serialized_network(network, config)
    steps.check(graph)
    if plan is None:
        raise BuildError(
            graph,
            f"the builder found no way to run it ({told})",
            "try a larger --workspace, or --backend onnxruntime",
        )
    return BuiltPlan(_bytes(plan), b"" if kept_timings is None else _bytes(kept_timings.serialize()))


def known_targets(api: TensorRtApi) -> tuple[str, ...]:
    """The compute capabilities that a builder can build for without such a GPU; none for TensorRT."""
    capabilities = getattr(api, "ComputeCapability", None)
    names = [] if capabilities is None else [name for name in dir(capabilities) if name.startswith("SM")]
    return tuple(sorted((name.lower() for name in names), key=lambda name: int(name[2:])))


def check_options(api: TensorRtApi, options: BuildOptions) -> None:
    """Refuse options that a builder does not have, before any work.

    Raises:
        BuildRequestError: See there.
    """
    known = known_targets(api)
    if options.targets and not known:
        raise BuildRequestError(
            "target", "none, since TensorRT builds for the GPU that is here", options.targets[0],
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
    """Set what does not depend on the network. `config` has methods that one of the two builders lacks."""
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
    """TensorRT's observer of a build; it must live as long as the build."""

    class Monitor(api.IProgressMonitor):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return steps.goes_on(phase_name, step + 1, self._steps.get(phase_name, step + 1))

    return Monitor()


def _describe(error: trt.ParserError) -> str:
    where = error.node_operator() or "graph"
    return f"{where} {error.node_name() or error.node()}: {error.desc()}".replace("\n", " ")


def _bytes(memory: Any) -> bytes:
    """A copy of TensorRT's host memory: a buffer, which not all of its stubs know."""
    return bytes(memoryview(memory))
