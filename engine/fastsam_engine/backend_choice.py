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
    able = {each: backend.readiness() for each, backend in builders.items()}
    ready = [each for each, found in able.items() if found.devices and device in ("auto", *found.devices)]
    if not ready:
        reasons = "; ".join(f"{each}: {found.reason}" for each, found in able.items())
        raise BackendUnavailableError(
            "auto", f"no backend that builds works here ({reasons})", "see: fastsam-trt doctor"
        )
    return builders[min(ready, key=lambda each: able[each].rank(device))]


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
    able = {name: backend.readiness() for name, backend in all_backends().items()}
    if not any(each.devices for each in able.values()):
        reasons = "; ".join(f"{name}: {each.reason}" for name, each in able.items() if each.version)
        why = f"no backend that is installed works here ({reasons})" if reasons else "no backend is installed"
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
        why = f"no backend here has a device {device!r}{missing_devices(able)}"
        raise BackendUnavailableError("auto", why, f"use --device auto, or one of: {devices}")
    return found


def missing_devices(able: Mapping[str, Readiness]) -> str:
    """Why devices are missing, in brackets; empty if no backend knows of any."""
    found = "; ".join(f"{name}: {each.missing}" for name, each in able.items() if each.missing)
    return f" ({found})" if found else ""
