"""open_session: choose a backend and open a graph on it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from fastsam_engine.backends import Readiness, all_backends, get_backend
from fastsam_engine.cpu_count import CpuCount
from fastsam_engine.errors import BackendFailedError, BackendUnavailableError, GpuError, ModelFileError
from fastsam_engine.open_options import OpenOptions
from fastsam_engine.plans.plan_file import is_plan, read_facts
from fastsam_engine.session import Session
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
        path: An ONNX file with a spec, or a plan that was built from one and lies where it was named.
        backend: `onnxruntime`, `openvino`, `tensorrt`, `tensorrt-rtx`, or `auto`: the fastest that can serve on this
            machine; where that fails for a reason of the machine, such as its driver, the next fastest, with a warning.
            The last two build a plan first, once, where the engine cache has none: that can take minutes.
        device: `auto` (the backend's best here) or a device of it: `cpu`; `cuda`, or `cuda:1` for another GPU;
            `tensorrt`, or `tensorrt:1`, for ONNX Runtime's TensorRT provider.
        precision: `auto` (the backend's fastest that its library holds accurate) or `fp32`, `bf16`, `fp16`.
        frames: Let the backend take pictures as cameras give them, (n, h, w, 3) uint8 BGR, and normalise them itself
            where it can do that faster; the session's `spec.input` says whether it does.
        cpu_fallback: Let operators that the device has no kernel for run on the processor, which costs a copy each
            way; else such a graph is refused.
        cuda_graph: Record the GPU's work for an input shape when it comes the second time, and replay it from then
            on; a graph that does not allow it is refused.
        threads: How many threads compute one run on the processor; None: one for each core that this process may use
            by its CPU affinity, and no more than its container's CPU quota, rounded up. On a GPU: those that compute
            what stays on the processor. See `fastsam_engine.cpu_count`.
        spin: ONNX Runtime: let its threads wait for the next run, too, by keeping their CPUs busy. That slows down
            whatever else runs, another library's threads in this process included. Within a run they always may.
        class_names: Names to use instead of the file's, see `read_spec`.

    Returns:
        A session, which says what it really got.

    Raises:
        ThreadsError: `threads` is no number of CPUs that may be used.
        ModelNotFoundError, ModelFileError: The file is missing or can't be used.
        UnknownBackendError, BackendUnavailableError: The backend, device or precision can't be had. A backend asked
            for by name is never replaced by another.
        OperatorFallbackError: Operators would run on the processor, without `cpu_fallback`.
        BuildError: A plan had to be built, and can't be, or computes something else than the graph.
        PackageClashError: A backend's package is installed twice.
    """
    path = Path(path)
    thread_count = CpuCount.of_process().threads(threads)
    spec = read_spec(path, class_names)
    device = device.removesuffix(":0")
    options = OpenOptions(frames, cpu_fallback, cuda_graph, thread_count, spin)
    if is_plan(path):
        return _open(path, spec, _plan_backend(path, backend), device, precision, options, "as built")
    if backend != "auto":
        return _open(path, spec, backend, device, precision, options, "as asked")
    *faster, last = _fastest_first(device, gpu_only=cuda_graph)
    for name, where in faster:
        try:
            return _open(path, spec, name, where, precision, options, "fastest here")
        except (BackendFailedError, GpuError) as error:
            _tell_failure(name, str(error))
    return _open(path, spec, *last, precision, options, "fastest here")


def _open(
    path: Path, spec: ModelSpec, name: str, device: str, precision: str, options: OpenOptions, how: str
) -> Session:
    """Open a graph on a backend and no other."""
    chosen = get_backend(name)
    readiness = chosen.readiness()
    if not readiness.devices:
        raise BackendUnavailableError(name, readiness.reason, readiness.mend)
    if device not in ("auto", *readiness.devices):
        devices = ", ".join(readiness.devices)
        why = _lacks({name: readiness})
        raise BackendUnavailableError(name, f"it has no device {device!r} here{why}", f"use one of: auto, {devices}")
    if device == "auto":
        device = readiness.devices[0]
    if options.cuda_graph and device == "cpu":
        raise BackendUnavailableError(name, "a CUDA graph needs a GPU, found device 'cpu'", "leave cuda_graph out")
    session = chosen.open(path, spec, device, precision, options)
    _logger.info(
        "%s runs on %s %s, %s, %s (%s: %s)",
        spec.name, name, readiness.version, session.device, session.precision, how, readiness.reason,
    )  # fmt: skip
    return session


def _plan_backend(path: Path, asked: str) -> str:
    """The backend that a plan was built for."""
    built_for = read_facts(path)[1].backend
    if asked not in ("auto", built_for):
        raise ModelFileError(path, f"expected a graph for {asked}, found a plan of {built_for}", "use --backend auto")
    return built_for


def _fastest_first(device: str, *, gpu_only: bool) -> list[tuple[str, str]]:
    """Backends that can serve on a device, each with its device, the fastest first; one that also has `cpu`, twice."""
    able = {name: backend.readiness() for name, backend in all_backends().items()}
    if not any(each.devices for each in able.values()):
        reasons = "; ".join(f"{name}: {each.reason}" for name, each in able.items() if each.version)
        why = f"no backend that is installed can serve here ({reasons})" if reasons else "no backend is installed"
        raise BackendUnavailableError("auto", why, "pip install 'fastsam-trt[cpu]'")
    ranked = []
    for name, each in able.items():
        best = dict.fromkeys((*each.devices[:1], *(("cpu",) if "cpu" in each.devices else ())))
        wanted = best if device == "auto" else [device] if device in each.devices else []
        ranked += [(each.rank(where), name, where) for where in wanted]
    found = [(name, where) for _, name, where in sorted(ranked)]
    found = [each for each in found if each[1] != "cpu" or not gpu_only] or found
    if not found:
        devices = ", ".join(dict.fromkeys(where for each in able.values() for where in each.devices))
        why = f"no backend here has a device {device!r}{_lacks(able)}"
        raise BackendUnavailableError("auto", why, f"use --device auto, or one of: {devices}")
    return found


@cache
def _tell_failure(name: str, error: str) -> None:
    """Say that a backend is passed over, once for all graphs that are opened."""
    _logger.warning("%s; the next fastest backend is used instead of %s", error, name)


def _lacks(able: Mapping[str, Readiness]) -> str:
    """Why devices are missing, in brackets; empty where no backend has something to say."""
    found = "; ".join(f"{name}: {each.lacks}" for name, each in able.items() if each.lacks)
    return f" ({found})" if found else ""
