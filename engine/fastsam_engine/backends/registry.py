"""Define the interface of backends, and register them by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

from fastsam_engine.errors import BuildRequestError, UnknownBackendError
from fastsam_engine.import_names import import_modules
from fastsam_engine.plans.build_request import BuildReport, BuildRequest, Progress
from fastsam_engine.session import OpenOptions, Session
from fastsam_engine.spec.model_spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a backend works on this machine.

    Attributes:
        version: Version of its package; empty if it is not installed.
        devices: Devices it can use here, best first; empty if it does not work.
        reason: Why it is fast, or why it does not work.
        fix: Command that makes it work; empty if it does.
        speed_rank: Rank among the backends on its best device; smaller is faster.
        device_ranks: The rank on devices where it differs.
        missing: Why some of its devices can't be used, and how to fix that; empty if all can.
    """

    version: str
    devices: tuple[str, ...]
    reason: str
    fix: str = ""
    speed_rank: int = 100
    device_ranks: Mapping[str, int] = field(default_factory=dict)
    missing: str = ""

    def rank(self, device: str) -> int:
        """The `speed_rank` on a device; `auto` is the best one."""
        return self.device_ranks.get(device, self.speed_rank)


class Backend(ABC):
    """A library that runs graphs."""

    name: ClassVar[str]

    @abstractmethod
    def readiness(self) -> Readiness:
        """Tell whether this backend works here, without loading a model.

        Raises:
            PackageClashError: Its package is installed twice.
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
            BackendUnavailableError: The precision or an option is not available.
            OperatorFallbackError: Operators would not run on the device.
            ModelFileError: The library can't load the graph.
        """

    def build(self, request: BuildRequest, device: str, progress: Progress) -> BuildReport:
        """Build in advance what `open` would otherwise build the first time or every time.

        Args:
            request: What to build, and how.
            device: `auto` or a device of the backend.
            progress: Called with the progress of the build.

        Raises:
            BuildRequestError: This backend builds nothing, or not with these options.
            BuildError: The graph can't be built, or the result does not compute what the graph does.
        """
        raise BuildRequestError(
            "backend", "one that builds", self.name, "no build is needed: it runs graphs as they are"
        )


_REGISTERED: dict[str, Backend] = {}


def register(backend: type[Backend]) -> type[Backend]:
    """Class decorator that registers a backend under its name."""
    _REGISTERED[backend.name] = backend()
    return backend


@cache
def all_backends() -> dict[str, Backend]:
    """Every backend of this folder, by name. Their libraries are not loaded."""
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
