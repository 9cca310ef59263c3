"""Open a graph on a backend of the machine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from fastsam_engine.backend_choice import fastest_first, missing_devices, plan_backend
from fastsam_engine.backends import get_backend
from fastsam_engine.cpu_count import CpuCount
from fastsam_engine.errors import BackendFailedError, BackendUnavailableError, GpuError
from fastsam_engine.plans.plan_file import is_plan
from fastsam_engine.session import OpenOptions, Session
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.spec_reader import read_spec

_logger = logging.getLogger(__name__)


def open_session(
    path: Path | str,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    *,
    frames: bool = False,
    cpu_fallback: bool = False,
    cuda_graph: bool = False,
    threads: int | None = None,
    spin: bool = False,
    class_names: Sequence[str] | None = None,
) -> Session:
    """Open an exported graph.

    Args:
        path: An ONNX file with a spec, or a plan that was built from one.
        backend: `onnxruntime`, `openvino`, `tensorrt`, `tensorrt-rtx`, or `auto`: the fastest one that works on this
            machine. If that fails for a reason of the machine, such as its driver, `auto` uses the next fastest and
            logs a warning. The two TensorRT backends first build a plan if the engine cache has none, which can take
            minutes.
        device: `auto` (the backend's best on this machine) or one of its devices: `cpu`; `cuda`, or `cuda:1` for
            another GPU; `tensorrt`, or `tensorrt:1`, for ONNX Runtime's TensorRT provider.
        precision: `auto` (the backend's fastest that is accurate enough) or `fp32`, `bf16`, `fp16`.
        frames: Let the backend take images as cameras deliver them, (n, h, w, 3) uint8 BGR, and normalise them
            itself if that is faster. The session's `spec.input` shows whether it does.
        cpu_fallback: Run operators on the CPU for which the device has no kernel, at the cost of a copy each way;
            without it such a graph is refused.
        cuda_graph: Record the GPU's work when an input shape comes for the second time, and replay it afterwards. A
            graph that does not allow it is refused.
        threads: Number of threads for one run on the CPU. None: one per core in the CPU affinity of this process, at
            most its container's CPU quota, rounded up. On a GPU: the threads for work that stays on the CPU. See
            `fastsam_engine.cpu_count`.
        spin: ONNX Runtime only: its threads keep their CPUs busy between runs, too. This slows down everything else
            on the machine, including other libraries' threads in this process. Within a run they always may spin.
        class_names: Class names to use instead of the file's, see `read_spec`.

    Returns:
        A session; its attributes tell the backend, device and precision that it runs with.

    Raises:
        ThreadsError: `threads` is not between 1 and the number of usable CPUs.
        ModelNotFoundError, ModelFileError: The file is missing or can't be used.
        UnknownBackendError, BackendUnavailableError: The backend, device or precision is not available. A backend
            requested by name is never replaced by another.
        OperatorFallbackError: Operators would run on the CPU without `cpu_fallback`.
        BuildError: A plan was needed but can't be built, or does not compute what the graph does.
        PackageClashError: A backend's package is installed twice.
    """
    path = Path(path)
    thread_count = CpuCount.of_process().threads(threads)
    spec = read_spec(path, class_names)
    device = device.removesuffix(":0")
    options = OpenOptions(frames, cpu_fallback, cuda_graph, thread_count, spin)
    if is_plan(path):
        return _open(path, spec, plan_backend(path, backend), device, precision, options, "as built")
    if backend != "auto":
        return _open(path, spec, backend, device, precision, options, "as requested")
    *faster, last = fastest_first(device, gpu_only=cuda_graph)
    for name, where in faster:
        try:
            return _open(path, spec, name, where, precision, options, "fastest here")
        except (BackendFailedError, GpuError) as error:
            _warn_once(name, str(error))
    return _open(path, spec, *last, precision, options, "fastest here")


def _open(
    path: Path, spec: ModelSpec, name: str, device: str, precision: str, options: OpenOptions, how: str
) -> Session:
    """Open a graph on one backend."""
    chosen = get_backend(name)
    readiness = chosen.readiness()
    if not readiness.devices:
        raise BackendUnavailableError(name, readiness.reason, readiness.fix)
    if device not in ("auto", *readiness.devices):
        devices = ", ".join(readiness.devices)
        why = missing_devices({name: readiness})
        raise BackendUnavailableError(name, f"it has no device {device!r} here{why}", f"use one of: auto, {devices}")
    if device == "auto":
        device = readiness.devices[0]
    if options.cuda_graph and device == "cpu":
        raise BackendUnavailableError(name, "a CUDA graph needs a GPU, found device 'cpu'", "omit cuda_graph")
    session = chosen.open(path, spec, device, precision, options)
    _logger.info(
        "%s runs on %s %s, %s, %s (%s: %s)",
        spec.name, name, readiness.version, session.device, session.precision, how, readiness.reason,
    )  # fmt: skip
    return session


@cache
def _warn_once(name: str, error: str) -> None:
    """Warn that a backend is skipped, once for all graphs."""
    _logger.warning("%s; the next fastest backend is used instead of %s", error, name)
