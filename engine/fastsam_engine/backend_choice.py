"""Choose the backend that runs or builds a graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from fastsam_engine.backends import Backend, Readiness, all_backends, get_backend
from fastsam_engine.errors import BackendUnavailableError, ModelFileError
from fastsam_engine.plans.plan_file import read_facts


def all_builders() -> dict[str, Backend]:
    """The backends that build, by name."""
    return {name: backend for name, backend in all_backends().items() if type(backend).build is not Backend.build}


def choose_builder(name: str = "auto", device: str = "auto", targets: Collection[str] = ()) -> Backend:
    """Choose the backend to build with.

    Args:
        name: A backend, or `auto`: of those that build, the one that `open_session` would use.
        device: `auto` or a device of the backend.
        targets: GPUs to build for, which need not be in this machine; only TensorRT-RTX can do that.

    Raises:
        UnknownBackendError, BackendUnavailableError: There is none.
    """
    if name != "auto":
        return get_backend(name)
    if targets:
        return get_backend("tensorrt-rtx")
    builders = all_builders()
    states = {builder: backend.readiness() for builder, backend in builders.items()}
    ready = [builder for builder, state in states.items() if state.devices and device in ("auto", *state.devices)]
    if not ready:
        reasons = "; ".join(f"{builder}: {state.reason}" for builder, state in states.items())
        raise BackendUnavailableError(
            "auto", f"no backend that builds works here ({reasons})", "see: fastsam-trt doctor"
        )
    return builders[min(ready, key=lambda builder: states[builder].rank(device))]


def plan_backend(path: Path, requested: str) -> str:
    """The backend that a plan was built for; `requested` must be that one or `auto`."""
    built_for = read_facts(path)[1].backend
    if requested not in ("auto", built_for):
        raise ModelFileError(
            path, f"expected a graph for {requested}, found a plan of {built_for}", "use --backend auto"
        )
    return built_for


def fastest_first(device: str, *, gpu_only: bool) -> list[tuple[str, str]]:
    """Usable (backend, device) pairs for a device, fastest first; a backend with a GPU also comes with `cpu`."""
    states = {name: backend.readiness() for name, backend in all_backends().items()}
    if not any(state.devices for state in states.values()):
        reasons = "; ".join(f"{name}: {state.reason}" for name, state in states.items() if state.version)
        why = f"no backend that is installed works here ({reasons})" if reasons else "no backend is installed"
        raise BackendUnavailableError("auto", why, "pip install 'fastsam-trt[cpu]'")
    ranked = []
    for name, state in states.items():
        best = dict.fromkeys((*state.devices[:1], *(("cpu",) if "cpu" in state.devices else ())))
        wanted = best if device == "auto" else [device] if device in state.devices else []
        ranked += [(state.rank(where), name, where) for where in wanted]
    pairs = [(name, where) for _, name, where in sorted(ranked)]
    pairs = [(name, where) for name, where in pairs if where != "cpu" or not gpu_only] or pairs
    if not pairs:
        devices = ", ".join(dict.fromkeys(where for state in states.values() for where in state.devices))
        why = f"no backend here has a device {device!r}{missing_devices(states)}"
        raise BackendUnavailableError("auto", why, f"use --device auto, or one of: {devices}")
    return pairs


def missing_devices(states: Mapping[str, Readiness]) -> str:
    """Why devices are missing, in brackets; empty if none is."""
    reasons = "; ".join(f"{name}: {state.missing}" for name, state in states.items() if state.missing)
    return f" ({reasons})" if reasons else ""
