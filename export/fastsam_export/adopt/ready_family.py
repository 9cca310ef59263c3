"""The registry of families that can be adopted, and the request for an adoption."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import ClassVar

from fastsam_engine.import_names import import_modules
from fastsam_engine.spec.model_spec import Source
from fastsam_export.adopt.adopted_from import AdoptedFrom
from fastsam_export.adopt.hub_files import AdoptedPrecision
from fastsam_export.adopt.repository import Repository
from fastsam_export.family import Exported
from fastsam_export.onnx_file import sha256


@dataclass(frozen=True, slots=True)
class AdoptionRequest:
    """What to adopt.

    Attributes:
        name: Short name of the model.
        precision: Precision of the graphs.
        source: Where they come from.
        imgsz: (height, width) of the default input, px; None: as the repository states.
    """

    name: str
    precision: AdoptedPrecision
    source: AdoptedFrom
    imgsz: tuple[int, int] | None = None

    def origin(self, graph: Path) -> Source:
        """The source of a graph, for its spec.

        Args:
            graph: The original file.
        """
        origin = self.source
        return Source(
            model_id=origin.repository or Path(origin.file).name,
            weights_sha256=sha256(graph),
            versions={package: metadata.version(package) for package in ("fastsam-trt", "onnx")},
            licence=origin.licence,
            revision=origin.revision,
            file=origin.file,
            address=origin.address,
        )


class ReadyFamily(ABC):
    """A family of ready models, and how they are adopted."""

    description: ClassVar[str]
    """What it takes, for messages."""

    @abstractmethod
    def recognises(self, repository: Repository) -> bool:
        """Whether a repository holds a model of this family, by its settings or by the metadata of its graph."""

    @abstractmethod
    def adopt(
        self, repository: Repository, request: AdoptionRequest, folder: Path, step: Callable[[str], None]
    ) -> list[Exported]:
        """Adopt a model into an empty folder.

        Args:
            repository: Its files.
            request: What to adopt.
            folder: Folder for the files. Other files in it are deleted afterwards.
            step: Called with a short description when a step begins.

        Raises:
            AdoptionError: The model can't be adopted.
            ParityError: The adopted graph computes something else than the original.
        """


_REGISTERED: list[ReadyFamily] = []


def register(family: type[ReadyFamily]) -> type[ReadyFamily]:
    """Class decorator that makes a family known."""
    _REGISTERED.append(family())
    return family


@cache
def ready_families() -> tuple[ReadyFamily, ...]:
    """Every family."""
    import_modules("fastsam_export.adopt.families")
    return tuple(_REGISTERED)
