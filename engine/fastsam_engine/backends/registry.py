"""The registry of backends: what a backend is, and which there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

from fastsam_engine.discovery import import_modules
from fastsam_engine.errors import BuildRequestError, UnknownBackendError
from fastsam_engine.open_options import OpenOptions
from fastsam_engine.plans.build_request import BuildReport, BuildRequest, Progress
from fastsam_engine.session import Session
from fastsam_engine.spec.model_spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a backend can serve on this machine.

    Attributes:
        version: Version of its package; empty where it is not installed.
        devices: Devices it can use here, best first; empty where it can't serve.
        reason: Why it is fast, or why it can't serve.
        mend: Command that makes it serve; empty where it does.
        speed_rank: Order among the backends that can serve, smaller is faster; on the best of the devices.
        device_ranks: The same on the devices where it is another.
        lacks: Why devices that it knows are not among them, and what mends it; empty where there is nothing to say.
    """

    version: str
    devices: tuple[str, ...]
    reason: str
    mend: str = ""
    speed_rank: int = 100
    device_ranks: Mapping[str, int] = field(default_factory=dict)
    lacks: str = ""

    def rank(self, device: str) -> int:
        """The `speed_rank` on a device, `auto` being the best."""
        return self.device_ranks.get(device, self.speed_rank)


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
    def open(self, path: Path, spec: ModelSpec, device: str, precision: str, options: OpenOptions) -> Session:
        """Open a graph.

        Args:
            path: An ONNX file.
            spec: Its spec.
            device: One of `readiness().devices`.
            precision: `auto` or a `Precision`.
            options: See `fastsam_engine.open_session`.

        Raises:
            BackendUnavailableError: The precision or an option can't be had.
            OperatorFallbackError: Operators would run elsewhere than on the device.
            ModelFileError: The library can't load the graph.
        """

    def build(self, request: BuildRequest, device: str, progress: Progress) -> BuildReport:
        """Make ready, once, what `open` would otherwise make each time or the first time.

        Args:
            request: What to build, and how.
            device: `auto` or a device of the backend.
            progress: Told how far it is.

        Raises:
            BuildRequestError: There is nothing to build for this backend, or not so.
            BuildError: The graph can't be built, or what was built computes something else.
        """
        raise BuildRequestError("backend", "one that builds", self.name, "use it as it is: it runs graphs unbuilt")


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
