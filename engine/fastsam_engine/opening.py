"""open_session: choose a backend and open a graph on it."""

from __future__ import annotations

import logging
from pathlib import Path

from fastsam_engine.backends import all_backends, get_backend
from fastsam_engine.errors import BackendUnavailableError
from fastsam_engine.session import Session
from fastsam_engine.spec_reader import read_spec

_logger = logging.getLogger(__name__)


def open_session(
    path: Path | str,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    *,
    frames: bool = False,
) -> Session:
    """Open an exported graph.

    Args:
        path: An ONNX file with a spec.
        backend: `onnxruntime`, `openvino`, or `auto`: the fastest that can serve on this machine.
        device: `auto` or a device of the backend, such as `cpu`.
        precision: `auto` (the backend's fastest that its library holds accurate) or `fp32`, `bf16`, `fp16`.
        frames: Let the backend take pictures as cameras give them, (n, h, w, 3) uint8 BGR, and normalise them itself
            where it can do that faster; the session's `spec.input` says whether it does.

    Returns:
        A session, which says what it really got.

    Raises:
        ModelNotFoundError, ModelFileError: The file is missing or can't be used.
        UnknownBackendError, BackendUnavailableError: The backend, device or precision can't be had. A backend asked
            for by name is never replaced by another.
        PackageClashError: A backend's package is installed twice.
    """
    path = Path(path)
    spec = read_spec(path)
    name = _fastest(device) if backend == "auto" else backend
    chosen = get_backend(name)
    readiness = chosen.readiness()
    if not readiness.devices:
        raise BackendUnavailableError(name, readiness.reason, readiness.mend)
    if device not in ("auto", *readiness.devices):
        devices = ", ".join(readiness.devices)
        raise BackendUnavailableError(name, f"it has no device {device!r} here", f"use one of: auto, {devices}")
    session = chosen.open(path, spec, device, precision, frames=frames)
    how = "fastest here" if backend == "auto" else "as asked"
    _logger.info(
        "%s runs on %s %s, %s, %s (%s: %s)",
        spec.name, name, readiness.version, session.device, session.precision, how, readiness.reason,
    )  # fmt: skip
    return session


def _fastest(device: str) -> str:
    """The fastest backend that can serve on a device."""
    able = {name: backend.readiness() for name, backend in all_backends().items()}
    ready = {name: each for name, each in able.items() if each.devices and device in ("auto", *each.devices)}
    if not ready:
        if any(each.devices for each in able.values()):
            raise BackendUnavailableError("auto", f"no backend here has a device {device!r}", "use --device auto")
        raise BackendUnavailableError("auto", "no backend is installed", "pip install 'fastsam-trt[cpu]'")
    return min(ready, key=lambda name: ready[name].speed_rank)
