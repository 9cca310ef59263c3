"""The registry of model families that can be exported, and the request for an export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

from fastsam_engine.import_names import import_modules
from fastsam_engine.spec.model_spec import ModelSpec


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export.

    Attributes:
        name: Short name of the exported model.
        weights: Local file or folder, or the name or hub id to fetch.
        imgsz: (height, width) of the default input, px; None: the model's default.
        defaults: Thresholds to record instead of the family's.
        class_agnostic: Whether the classes do not name what a segment shows; None: as the weights say (YOLO only).
    """

    name: str
    weights: str
    imgsz: tuple[int, int] | None = None
    defaults: Mapping[str, float] = field(default_factory=dict)
    class_agnostic: bool | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """One exported file.

    Attributes:
        path: The file.
        spec: Its spec with the parity record; None if the file is not a graph.
        kept_whole: Why a segmenter was not cut into parts although that was requested; otherwise empty.
    """

    path: Path
    spec: ModelSpec | None
    kept_whole: str = ""


class Family(ABC):
    """A family of models, and how they are exported."""

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    """Distributions that an export needs; the extra [export] installs all of them."""

    @abstractmethod
    def recognises(self, weights: Path) -> bool:
        """Whether a local file or folder is a model of this family. The weights are not loaded."""

    @abstractmethod
    def export(self, request: ExportRequest, folder: Path, step: Callable[[str], None]) -> list[Exported]:
        """Export a model into an empty folder.

        Args:
            request: What to export.
            folder: Folder for the files. Other files in it are deleted afterwards.
            step: Called with a short description when a step begins.

        Raises:
            WeightsNotFoundError: The weights do not exist, or can't be fetched.
            ExportError: They belong to another family, or can't be exported.
            ParityError: The exported graph computes something else than PyTorch.
        """


_REGISTERED: dict[str, Family] = {}


def register(family: type[Family]) -> type[Family]:
    """Class decorator that makes a family known under its name."""
    _REGISTERED[family.name] = family()
    return family


@cache
def all_families() -> dict[str, Family]:
    """Every family by name. This imports no training framework."""
    import_modules("fastsam_export.families")
    return dict(_REGISTERED)
