"""Open graphs on ONNX Runtime, on the CPU and on NVIDIA GPUs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fastsam_engine.backends.onnxruntime.devices import Device, find_devices, load_libraries
from fastsam_engine.backends.onnxruntime.io_binding import OnnxRuntimeBoundSession, symbols
from fastsam_engine.backends.onnxruntime.node_placement import RECORD, check_assignment
from fastsam_engine.backends.onnxruntime.provider_options import Providers, compute_precision, engine_folder, providers
from fastsam_engine.backends.registry import Backend, Readiness, register
from fastsam_engine.concurrency.interruption import interruptible, named_interrupts
from fastsam_engine.errors import BackendFailedError, BackendUnavailableError, ModelFileError, OutputError, one_line
from fastsam_engine.gpus import gpus
from fastsam_engine.graph.onnx_graph import read_graph
from fastsam_engine.packages import check_single_owner, load_module, owners, version
from fastsam_engine.plans.engine_cache import check_private_folder, restrict_to_owner
from fastsam_engine.plans.shape_ranges import plan_spec, shape_ranges
from fastsam_engine.session import Array, ComputePrecision, OpenOptions, Session, compute_errors
from fastsam_engine.spec.graph_agreement import check_names
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.store.weight_files import resolved_weights

if TYPE_CHECKING:
    import onnxruntime

_CPU_RANK, _GPU_RANK = 50, 10
_MACHINE = re.compile(
    r"CUDA (failure|error)|CUDNN failure|CUBLAS failure|cudaError|driver|out of memory|cannot open shared"
)
"""Text of errors that are caused by the machine and not by the graph."""


@register
class OnnxRuntimeBackend(Backend):
    """ONNX Runtime. It computes in the graph's precision, except where `compute_precision` says otherwise.

    Devices: `cpu`, `cuda`, `cuda:1`, and `tensorrt`, `tensorrt:1` for its TensorRT provider, which first builds engines
    and runs on CUDA what TensorRT does not support.
    """

    name = "onnxruntime"

    def readiness(self) -> Readiness:
        check_single_owner("onnxruntime")
        installed = owners("onnxruntime")
        if not installed:
            fix = "pip install 'fastsam-trt[cpu]', or 'fastsam-trt[gpu]' for an NVIDIA GPU"
            return Readiness("", (), "onnxruntime is not installed", fix)
        devices, missing = find_devices(installed[0])
        on_gpu = devices != ("cpu",)
        reason = "runs every graph as it was exported"
        if missing and installed[0] != "onnxruntime":
            reason = f"{reason}; {missing}"
        return Readiness(
            version(installed[0]),
            devices,
            reason,
            speed_rank=_GPU_RANK if on_gpu else _CPU_RANK,
            device_ranks={"cpu": _CPU_RANK},
            missing=missing,
        )

    def open(self, path: Path, spec: ModelSpec, device: str, precision: str, options: OpenOptions) -> Session:
        where = Device.parse(device)
        installed = owners("onnxruntime")[0]
        onnxruntime = load_module("onnxruntime", self.name, f"pip install --force-reinstall {installed}")
        result = compute_precision(spec, where, precision)
        if where.kind == "cpu":
            return OnnxRuntimeSession(
                path, spec, _load(path, where, providers(spec, where, result), {}, options), result
            )
        load_libraries(onnxruntime, where)
        return open_bound(path, spec, where, result, options)


class OnnxRuntimeSession(Session):
    """A graph on ONNX Runtime on the CPU; every run returns new arrays.

    Runs of several threads execute concurrently: each uses its own thread, and all share the session's thread pool.
    """

    parallel = True

    def __init__(
        self, path: Path, spec: ModelSpec, session: onnxruntime.InferenceSession, precision: ComputePrecision
    ) -> None:
        super().__init__(path, spec, OnnxRuntimeBackend.name, "cpu", precision)
        self._session = session
        check_names(path, spec, (i.name for i in session.get_inputs()), (o.name for o in session.get_outputs()))
        self._outputs = [output.name for output in spec.outputs]

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        with compute_errors(self.device, f"running {self.spec.name}"):
            return dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs)), strict=True))

    def _release(self) -> None:
        del self._session


def open_bound(
    path: Path, spec: ModelSpec, device: Device, precision: ComputePrecision, options: OpenOptions
) -> OnnxRuntimeBoundSession:
    """Open a graph with its arrays on the device. It also works on the CPU, without any gain.

    A graph that takes images of any size is opened for its default size at once, so that errors appear now.

    Raises:
        BackendUnavailableError, OperatorFallbackError: The device or an option is not available for this graph.
        ModelFileError: ONNX Runtime can't load it.
        OutputError: TensorRT's engines can't be written.
    """
    axes = read_graph(path).input_axes
    if missing := set(spec.input_names) - axes.keys():
        check_names(path, spec, set(spec.input_names) - missing, (output.name for output in spec.outputs))
    image = spec.input if isinstance(spec.input, ImageInput) else None
    sized = image is not None and image.size_multiple is not None and all(symbols(axes, [image.name]))
    ranges = None
    if device.kind == "tensorrt" and not sized and any(True for _ in symbols(axes, spec.input_names)):
        ranges = shape_ranges(spec)
        spec = plan_spec(spec, ranges)

    def load(lengths: Mapping[str, int]) -> onnxruntime.InferenceSession:
        engines = _engines(path, spec, device, {**lengths, **(ranges or {})}) if device.kind == "tensorrt" else None
        chosen = providers(spec, device, precision, cuda_graph=options.cuda_graph, ranges=ranges, engines=engines)
        session = _load(path, device, chosen, lengths, options)
        if engines is not None:
            restrict_to_owner(engines)
        check_names(path, spec, (i.name for i in session.get_inputs()), (o.name for o in session.get_outputs()))
        check_assignment(session, device, cpu_fallback=options.cpu_fallback, cuda_graph=options.cuda_graph)
        return session

    session = OnnxRuntimeBoundSession(
        path, spec, device, precision, axes, load, sized=sized, cuda_graph=options.cuda_graph
    )
    if sized and image is not None:
        size = (3, image.height, image.width) if image.layout == "NCHW" else (image.height, image.width, 3)
        session.prepare({image.name: (image.batch[0], *size)})
    return session


def _load(
    path: Path, device: Device, chosen: Providers, lengths: Mapping[str, int], wanted: OpenOptions
) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised as exceptions anyway
    options.intra_op_num_threads = wanted.threads
    # Within a run, threads may spin for the next operator, which is a tenth faster; after it they free the CPUs.
    options.add_session_config_entry("session.force_spinning_stop", str(int(not wanted.spin)))
    for symbol, length in lengths.items():
        options.add_free_dimension_override_by_name(symbol, length)
    if device.kind != "cpu":
        options.add_session_config_entry(*RECORD)
    try:
        # Without fallback: otherwise an unavailable provider is replaced by the CPU's, with a print.
        with resolved_weights(path) as real:

            def create(_stop: object = None) -> onnxruntime.InferenceSession:
                return onnxruntime.InferenceSession(str(real), options, providers=chosen, enable_fallback=0)

            if device.kind == "tensorrt":  # builds engines, for minutes
                with named_interrupts(path):
                    session = interruptible(create, lambda: options.set_load_cancellation_flag(True))
            else:
                session = create()
    except Exception as error:  # the library's exceptions have no common base but Exception
        if "graph capture feature" in str(error):
            raise BackendUnavailableError(
                OnnxRuntimeBackend.name,
                f"{path.name} can't be recorded as a CUDA graph: not all of it runs on {device}",
                "open it without cuda_graph",
            ) from error
        if device.kind == "cpu":
            raise ModelFileError(path, f"ONNX Runtime can't load it ({one_line(error)})") from error
        if _MACHINE.search(str(error)):
            reason = f"{device} can't be used ({one_line(error)})"
            raise BackendFailedError(OnnxRuntimeBackend.name, reason, "see: fastsam-trt doctor") from error
        raise ModelFileError(
            path, f"ONNX Runtime can't load it on {device} ({one_line(error)})", "see: fastsam-trt doctor"
        ) from error
    if (got := session.get_providers()[0]) != device.provider:
        raise BackendFailedError(
            OnnxRuntimeBackend.name,
            f"expected {device.provider}, got {got}: the GPU or the provider's libraries can't be used",
            "see: fastsam-trt doctor",
        )
    return session


def _engines(path: Path, spec: ModelSpec, device: Device, shapes: Mapping[str, object]) -> Path:
    """Make the folder for TensorRT's engines. Engines are executable code, so only this user may write there."""
    gpu = next((each.name for each in gpus() if each.index == device.index), "")
    folder = engine_folder(path, spec, version(owners("onnxruntime")[0]), {"GPU": gpu, **shapes})
    try:
        for each in (folder.parent, folder):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_private_folder(folder)
    except OutputError:
        raise
    except OSError as error:
        fix = "make it writable, or set FASTSAM_TRT_HOME to another folder"
        raise OutputError(folder, f"the engine cache can't be created ({error.strerror})", fix) from error
    return folder
