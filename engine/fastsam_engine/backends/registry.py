"""The registry of backends: what a backend is, and which there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from fastsam_engine.discovery import import_modules
from fastsam_engine.errors import UnknownBackendError
from fastsam_engine.model_spec import ModelSpec
from fastsam_engine.session import Session


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a backend can serve on this machine.

    Attributes:
        version: Version of its package; empty where it is not installed.
        devices: Devices it can use here, best first; empty where it can't serve.
        reason: Why it is fast, or why it can't serve.
        mend: Command that makes it serve; empty where it does.
        speed_rank: Order among the backends that can serve, smaller is faster.
    """

    version: str
    devices: tuple[str, ...]
    reason: str
    mend: str = ""
    speed_rank: int = 100


class Backend(ABC):
    """A library that runs graphs."""

    name: ClassVar[str]

    @abstractmethod
    def readiness(self) -> Readiness:
        """Say whether this backend can serve here, without loading a model.

        Raises:
            PackageClashError: Its package is installed twice, so that what would run is left to chance.
        """

    @abstractmethod
    def open(self, path: Path, spec: ModelSpec, device: str, precision: str, *, frames: bool) -> Session:
        """Open a graph.

        Args:
            path: An ONNX file.
            spec: Its spec.
            device: `auto` or one of `readiness().devices`.
            precision: `auto` or a `Precision`.
            frames: See `fastsam_engine.open_session`.

        Raises:
            BackendUnavailableError: The precision can't be had.
            ModelFileError: The library can't load the graph.
        """


_REGISTERED: dict[str, Backend] = {}


def register(backend: type[Backend]) -> type[Backend]:
    """Class decorator that makes a backend known under its name."""
    _REGISTERED[backend.name] = backend()
    return backend


@cache
def all_backends() -> dict[str, Backend]:
    """Every backend of this folder, by name; loading this loads none of their libraries."""
    import_modules("fastsam_engine.backends")
    return dict(sorted(_REGISTERED.items()))


def get_backend(name: str) -> Backend:
    """The backend of a name.

    Raises:
        UnknownBackendError: There is none.
    """
    backends = all_backends()
    if name not in backends:
        raise UnknownBackendError(name, backends)
    return backends[name]
