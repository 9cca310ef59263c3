"""The registry of families: what an export asks for, and who makes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

from fastsam_engine.discovery import import_modules
from fastsam_engine.spec.model_spec import ModelSpec


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export.

    Attributes:
        name: Short name that the model gets.
        weights: Local file or folder, or the name or hub id to fetch it by.
        imgsz: (height, width) of the default input, px; None: the model's own.
        defaults: Thresholds to record in place of the family's.
        class_agnostic: Whether the classes say nothing; None: what the weights say (YOLO models only).
    """

    name: str
    weights: str
    imgsz: tuple[int, int] | None = None
    defaults: Mapping[str, float] = field(default_factory=dict)
    class_agnostic: bool | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """One file that an export made.

    Attributes:
        path: The file.
        spec: Its spec, parity record included; None for a file that is no graph.
    """

    path: Path
    spec: ModelSpec | None


class Family(ABC):
    """Models of one kind, and how they are exported."""

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    """Distributions that exporting needs, all of them in the extra [export]."""

    @abstractmethod
    def recognises(self, weights: Path) -> bool:
        """Whether a local file or folder holds a model of this family, judged without loading it."""

    @abstractmethod
    def export(self, request: ExportRequest, folder: Path, step: Callable[[str], None]) -> list[Exported]:
        """Export a model into an empty folder.

        Args:
            request: What to export.
            folder: Where the files go. What is left in it besides the files returned is thrown away.
            step: Told, in a few words, what begins.

        Raises:
            WeightsNotFoundError: The weights are not there.
            ExportError: They are of another family, or can't be exported.
            ParityError: The exported graph computes something else.
        """


_REGISTERED: dict[str, Family] = {}


def register(family: type[Family]) -> type[Family]:
    """Class decorator that makes a family known under its name."""
    _REGISTERED[family.name] = family()
    return family


@cache
def all_families() -> dict[str, Family]:
    """Every family of this folder, by name; loading this loads no training framework."""
    import_modules("fastsam_export.families")
    return dict(_REGISTERED)
