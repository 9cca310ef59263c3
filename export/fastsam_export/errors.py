"""Errors of the export wing."""

from __future__ import annotations

from collections.abc import Mapping

from fastsam_engine.errors import RequestError, WorkError


class UnknownExportError(RequestError, ValueError):
    """A name that no family exports."""


class WeightsNotFoundError(RequestError, FileNotFoundError):
    """Weights that are not there, or can't be fetched."""

    def __init__(self, weights: str, found: str) -> None:
        super().__init__(f"weights {weights!r}: {found}; give a file or folder with --weights")


class ExportError(WorkError, RuntimeError):
    """An export that could not be made."""


class ParityError(WorkError, ArithmeticError):
    """An exported graph that does not compute what PyTorch does. Its files are not kept."""

    def __init__(
        self, graph: str, worst: Mapping[str, float], tolerance: Mapping[str, float], missed: list[str]
    ) -> None:
        found = ", ".join(f"{name} {worst[name]:.3g} (bound {tolerance[name]:.3g})" for name in missed)
        super().__init__(f"{graph}: expected the same outputs as PyTorch, found {found}; no file was kept")
