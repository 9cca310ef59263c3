"""Errors of the export wing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fastsam_engine.errors import RequestError, WorkError, brief
from fastsam_engine.rounding import round_with_bound


class UnknownExportError(RequestError, ValueError):
    """A model name, weights or a precision that can't be exported."""


class WeightsNotFoundError(RequestError, FileNotFoundError):
    """Weights that do not exist, or can't be fetched."""

    def __init__(self, weights: str, found: str, fix: str = "give a file or folder with --weights") -> None:
        super().__init__(f"weights {weights!r}: {found}; {fix}")


class WeightsUnreachableError(WeightsNotFoundError, ConnectionError):
    """Weights that can't be fetched, since the network or the server fails: the same request may work later."""

    exit_code = WorkError.exit_code

    def __init__(self, weights: str, host: str, found: str) -> None:
        super().__init__(
            weights,
            f"expected an answer of {host}, found {brief(found)}",
            "check the network and HTTPS_PROXY, or give a file or folder with --weights",
        )


class CalibrationError(RequestError, ValueError):
    """Calibration pictures that are missing, too few or unreadable."""

    def __init__(self, path: Path | None, expected: str, found: str) -> None:
        where = "calibration" if path is None else f"calibration {path}"
        super().__init__(f"{where}: expected {expected}, found {found}; give a folder with --calibration")


class ExportSizeError(RequestError, ValueError):
    """An `imgsz` that the network can't take."""

    def __init__(self, stride: int, height: int, width: int) -> None:
        super().__init__(f"imgsz: expected multiples of {stride}, found {height} x {width}")


class ExportError(WorkError, RuntimeError):
    """A model that can't be exported."""


class ParityError(WorkError, ArithmeticError):
    """An exported graph whose outputs differ from those of PyTorch, or of its fp32 graph. The file is deleted."""

    def __init__(
        self,
        graph: str,
        worst: Mapping[str, float],
        tolerance: Mapping[str, float],
        missed: list[str],
        reference: str = "PyTorch",
    ) -> None:
        rounded = {name: round_with_bound(worst[name], tolerance[name]) for name in missed}
        found = ", ".join(f"{name} {value} (bound {bound})" for name, (value, bound) in rounded.items())
        super().__init__(f"{graph}: expected the same outputs as {reference}, found {found}; no file was kept")


class NotFiniteError(ParityError):
    """An exported graph with NaN or infinite outputs."""

    def __init__(self, graph: str, output: str, count: int, inputs: str) -> None:
        WorkError.__init__(
            self,
            f"{graph}: expected finite numbers, found {count} NaN or infinite in output {output} on {inputs}; "
            "no file was kept",
        )


class SplitError(ExportError):
    """A dense graph that can't be cut into parts that compute a part of its maps each; the message says why."""


class AdoptionError(RequestError, ValueError):
    """A ready model that can't be adopted: of another task, incomplete, or with unsupported preprocessing."""

    def __init__(
        self, path: Path, found: str, fix: str = "see which models can be adopted: fastsam-trt pull --help"
    ) -> None:
        super().__init__(f"{path}: {brief(found)}; {fix}")
