"""Which backend builds."""

from __future__ import annotations

from collections.abc import Collection

from fastsam_engine.backends import Backend, all_backends, get_backend
from fastsam_engine.errors import BackendUnavailableError


def all_builders() -> dict[str, Backend]:
    """The backends that build, by name."""
    return {name: backend for name, backend in all_backends().items() if type(backend).build is not Backend.build}


def choose_builder(name: str = "auto", device: str = "auto", targets: Collection[str] = ()) -> Backend:
    """The backend to build with.

    Args:
        name: A backend, or `auto`: the one that `open_session` would take, of those that build.
        device: `auto` or a device of the backend.
        targets: GPUs to build for that need not be here; only TensorRT-RTX does that.

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
        raise BackendUnavailableError("auto", f"none that builds can serve here ({reasons})", "see: fastsam-trt doctor")
    return builders[min(ready, key=lambda each: able[each].rank(device))]
