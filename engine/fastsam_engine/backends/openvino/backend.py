"""Open and compile graphs with OpenVINO on the CPU."""

from __future__ import annotations

import dataclasses
import logging
import platform
import sys
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from fastsam_engine.backends.openvino.channels_last import with_channels_last
from fastsam_engine.backends.openvino.compiled_cache import CompiledCache, Shape
from fastsam_engine.backends.openvino.frame_input import with_frame_input
from fastsam_engine.backends.openvino.inference_request import InferenceRequest, per_image
from fastsam_engine.backends.openvino.slice_workaround import split_before_gather
from fastsam_engine.backends.registry import Backend, Readiness, register
from fastsam_engine.concurrency.interruption import named_interrupts
from fastsam_engine.concurrency.lazy_cache import LazyCache
from fastsam_engine.cpu_count import CpuCount
from fastsam_engine.errors import BackendUnavailableError, BuildRequestError, ModelFileError, one_line
from fastsam_engine.input_check import image_size_text
from fastsam_engine.packages import load_module, version
from fastsam_engine.plans.build_request import BuildOptions, BuildReport, BuildRequest, Progress
from fastsam_engine.plans.engine_cache import EngineCache
from fastsam_engine.plans.shape_ranges import ShapeRange, shape_ranges
from fastsam_engine.session import Array, OpenOptions, Session, compute_errors
from fastsam_engine.spec.graph_agreement import check_names
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec, Precision
from fastsam_engine.store.home_folder import has_writable_home
from fastsam_engine.store.weight_files import resolved_weights

if TYPE_CHECKING:
    from types import ModuleType

    import openvino

_logger = logging.getLogger(__name__)

_MAKING = threading.Lock()
_TELEMETRY = "openvino_telemetry"
_HINTS: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_SIZES_KEPT = 12  # frames are fitted into fewer rectangles


@register
class OpenVinoBackend(Backend):
    """OpenVINO. It computes in bf16 if the CPU does so natively, unless fp32 is requested; int8 graphs in int8."""

    name = "openvino"

    def readiness(self) -> Readiness:
        found = version("openvino")
        if not found:
            return Readiness("", (), "openvino is not installed", "pip install openvino")
        x86 = platform.machine().lower() in ("x86_64", "amd64")
        reason = "compiles for the CPU and the source's shape" if x86 else "not measured on this CPU"
        return Readiness(found, ("cpu",), reason, speed_rank=20 if x86 else 60)

    def open(self, path: Path, spec: ModelSpec, device: str, precision: str, options: OpenOptions) -> Session:
        core = _core()
        if spec.precision == "int8":
            if precision not in ("auto", "int8"):
                raise BackendUnavailableError(
                    self.name,
                    f"it computes this graph, which is int8, in int8, not in {precision}",
                    "use --precision auto",
                )
            precision = "fp32"  # for the layers that are not int8: bf16 there loses as many detections as int8 does
        if precision == "auto" and spec.is_helper:
            precision = "fp32"
        if precision not in ("auto", *_HINTS) or (
            precision in ("bf16", "fp16")
            and precision.upper() not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        ):
            raise BackendUnavailableError(
                self.name, f"this CPU does not compute in {precision}", "use --precision auto or fp32"
            )
        try:
            with resolved_weights(path) as real:
                model = core.read_model(real)
            split_before_gather(model)
        except Exception as error:  # the library raises RuntimeError and other classes
            raise ModelFileError(path, f"OpenVINO can't load it ({one_line(error, -1)})") from error
        inputs = {name for port in model.inputs for name in port.get_names()}
        outputs = {name for port in model.outputs for name in port.get_names()}
        check_names(path, spec, inputs, outputs)
        with compute_errors("cpu", f"compiling {spec.name}", -1):  # computes the graph's constants
            if options.frames and isinstance(spec.input, ImageInput) and spec.input.layout == "NCHW":
                model, image = with_frame_input(model, spec.input)
                spec = dataclasses.replace(spec, input=image)
            model, channels_last = with_channels_last(model, spec)
        decisive = {
            "precision": precision,
            "takes": spec.input.dtype if isinstance(spec.input, ImageInput) else "",
            "channels last": sorted(channels_last),
            **_scheduling(options.threads),
        }
        kept = CompiledCache(core, path, decisive)
        return OpenVinoSession(path, spec, core, model, precision, kept, options.threads, channels_last)

    def build(self, request: BuildRequest, device: str, progress: Progress) -> BuildReport:
        """Compile for the usual and the largest image and store that; `open` compiles other sizes every time."""
        usual = BuildOptions()
        options = dataclasses.replace(request.options, optimization_level=usual.optimization_level)
        if request.spec.is_helper:
            options = dataclasses.replace(options, tf32=usual.tf32)  # it does not apply to such graphs
        if options != usual or request.out is not None or device not in ("auto", "cpu"):
            raise BuildRequestError("options", "only --imgsz and --batch for OpenVINO, which compiles for this "
                                    "CPU into the engine cache", "others")  # fmt: skip
        ranges = shape_ranges(request.spec, batch=request.batch, imgsz=request.imgsz)
        start = time.perf_counter()
        # As the runtime opens them: segmenters take frames, and texts, which are encoded once, are computed in fp32.
        segments, texts = request.spec.task == "segment", request.spec.task == "embed-text"
        precision = "fp32" if texts else "auto"
        threads = CpuCount.of_process().threads(request.threads)
        chosen = OpenOptions(frames=segments, threads=threads)
        with named_interrupts(request.graph):  # raised after the current compilation, which can't be interrupted
            session = self.open(request.graph, request.spec, "cpu", precision, chosen)
            if not isinstance(session, OpenVinoSession):
                raise TypeError(f"expected a session of OpenVINO, found {type(session).__name__}")
            size, made = session.keep(ranges, progress, again=request.again)
        built_s = time.perf_counter() - start if made else None
        return BuildReport(EngineCache().folder / self.name, size, built_s, f"this CPU, {session.precision}", {})


class OpenVinoSession(Session):
    """A graph on OpenVINO.

    If the image's size is dynamic, the graph is compiled per size: once for one image and, when one comes, once for
    batches of any number. (A dynamic batch makes one image 5 percent slower, and batches not measurably.) The most
    recent sizes stay compiled. Other graphs are compiled once.

    Runs of different sizes execute concurrently, runs of one size take turns: see `InferenceRequest`. For more
    concurrency open one session per thread, each with a part of the `threads`.
    """

    parallel = True

    def __init__(
        self,
        path: Path,
        spec: ModelSpec,
        core: openvino.Core,
        model: openvino.Model,
        precision: str,
        kept: CompiledCache,
        threads: int,
        channels_last: frozenset[str],
    ) -> None:
        self._core = core
        self._kept = kept
        self._model: openvino.Model | None = model
        self._options: dict[str, str] = {"PERFORMANCE_HINT": "LATENCY", **_scheduling(threads)}
        if precision != "auto":
            self._options["INFERENCE_PRECISION_HINT"] = _HINTS[cast("Precision", precision)]
        self._graphs = LazyCache(self._make, _SIZES_KEPT, group=lambda shape: shape[1:])
        self._reported = set[Shape]()
        indices = {name: index for index, port in enumerate(model.outputs) for name in port.get_names()}
        self._outputs = {output.name: indices[output.name] for output in spec.outputs}
        self._channels_last = channels_last
        image = spec.input if isinstance(spec.input, ImageInput) else None
        self._sized = image is not None and image.size_multiple is not None
        super().__init__(path, spec, OpenVinoBackend.name, "cpu", _precision(core, spec, precision))

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        (array, *_) = inputs.values()
        graph = self._graphs.get(self._compiled_for(array.shape))
        with compute_errors(self.device, f"running {self.spec.name}", -1):
            return graph.run(inputs)

    def _release(self) -> None:
        self._graphs.clear()
        self._model = None

    def _compiled_for(self, shape: Shape) -> Shape:
        """The input shape to compile for, -1 for an axis of any length; empty: the model's dynamic axes."""
        if not self._sized:
            return ()
        low, high = cast("ImageInput", self.spec.input).batch
        return shape if shape[0] == 1 or low == high else (-1, *shape[1:])

    def _make(self, shape: Shape) -> InferenceRequest:
        compiled = self._kept.load(shape, self._options)
        if compiled is None:
            if shape and shape not in self._reported:
                self._reported.add(shape)
                size = image_size_text(cast("ImageInput", self.spec.input), shape)
                _logger.info("compiling %s for %s on %s, done once", self.spec.name, size, self.backend)
            compiled = self._compile(shape)
        ports = per_image(self._reshaped(shape), self._outputs) if shape else None
        if not shape:
            self._model = None  # compiled once, so a second copy of the weights is not needed
        return InferenceRequest(compiled, self._outputs, ports, self._channels_last)

    def keep(self, ranges: Mapping[str, ShapeRange], progress: Progress, *, again: bool) -> tuple[int, bool]:
        """Compile for the usual and the largest image, and store the result for later processes.

        Args:
            ranges: The shapes that the graph shall take, in its layout.
            progress: Called with the shape that is compiled.
            again: Compile shapes that are stored already.

        Returns:
            The size of all files, bytes, and whether any shape was compiled.

        Raises:
            OutputError: It can't be written.
        """
        shapes: list[Shape] = [()]
        if self._sized:
            (range_,) = ranges.values()
            batch = range_.usual[0]
            sizes = dict.fromkeys((range_.usual[2:], range_.largest[2:]))
            frames = cast("ImageInput", self.spec.input).layout == "NHWC"
            shapes = [self._compiled_for((batch, *size, 3) if frames else (batch, 3, *size)) for size in sizes]
        size, made = 0, False
        for done, shape in enumerate(shapes):
            progress("compiling" if shape == () else f"compiling for {' x '.join(map(str, shape))}", done, len(shapes))
            path = self._kept.path(shape)
            if again or self._kept.load(shape, self._options) is None:
                self._kept.store(shape, self._compile(shape))
                made = True
            size += path.stat().st_size
        return size, made

    def _compile(self, shape: tuple[int, ...]) -> openvino.CompiledModel:
        with compute_errors(self.device, f"compiling {self.spec.name}", -1):
            return self._core.compile_model(self._reshaped(shape), "CPU", self._options)

    def _reshaped(self, shape: Shape) -> openvino.Model:
        model = cast("openvino.Model", self._model)
        if shape:
            model = model.clone()
            model.reshape(list(shape))
        return model


def _scheduling(threads: int) -> dict[str, str]:
    """OpenVINO's options for a number of threads.

    It pins threads to the first CPUs that the process may use, the same ones in every session and process: two sessions
    with half of the CPUs would share one half. So only sessions that use all CPUs are pinned.
    """
    pinned = threads >= CpuCount.of_process().cores
    return {"INFERENCE_NUM_THREADS": str(threads), "ENABLE_CPU_PINNING": "YES" if pinned else "NO"}


def _core() -> openvino.Core:
    """The process's one core; the first thread makes it while the others wait."""
    with _MAKING:
        return _make_core()


@cache
def _make_core() -> openvino.Core:
    """Make the core, which lives as long as the process.

    A core gives the first thread that compiles with it a stack for signal handlers, and frees that stack when the core
    is destroyed, on any thread. The next signal would then kill the process.
    """
    silenced = not has_writable_home() and _TELEMETRY not in sys.modules
    if silenced:  # its telemetry writes a file there; without a home it fails, or warns several times
        sys.modules[_TELEMETRY] = cast("ModuleType", None)
    try:
        load_module("openvino", OpenVinoBackend.name, "pip install --force-reinstall openvino")
    finally:
        if silenced:
            del sys.modules[_TELEMETRY]
    import openvino

    # The module makes its tables of dtypes on first use and may release Python's lock while doing so. A second thread
    # that uses them just then waits for the first while holding that lock: a deadlock.
    for dtype in (np.float32, np.uint8, np.int64):
        tensor = openvino.Tensor(np.zeros(1, dtype))
        np.asarray(tensor.data)
        tensor.element_type.to_dtype()
    return openvino.Core()


def _precision(core: openvino.Core, spec: ModelSpec, requested: str) -> Precision:
    """The precision that the CPU computes in: the requested one, the graph's int8, or the library's choice."""
    if spec.precision == "int8":
        return "int8"
    if requested != "auto":
        return cast("Precision", requested)  # one of `_HINTS`, as `open` has checked
    chosen = core.get_property("CPU", "INFERENCE_PRECISION_HINT").to_string()
    return next(name for name, hint in _HINTS.items() if hint == chosen)
