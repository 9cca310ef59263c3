"""What is installed: versions, modules, and distributions that overwrite each other."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from types import ModuleType

from fastsam_engine.errors import BackendFailedError, PackageClashError, one_line

CLASHES: dict[str, tuple[str, ...]] = {
    "onnxruntime": (
        "onnxruntime",
        "onnxruntime-gpu",
        "onnxruntime-openvino",
        "onnxruntime-directml",
        "onnxruntime-qnn",
    ),
    "cv2": (
        "opencv-python",
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
}
"""Module to the distributions that each bring it whole, so that only one of them may be installed."""


def version(distribution: str) -> str:
    """Version of an installed distribution, empty where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def load_module(module: str, backend: str, fix: str) -> ModuleType:
    """Load the module of a backend that is installed.

    Args:
        module: Its name.
        backend: For the message.
        fix: Command that installs it anew.

    Raises:
        BackendFailedError: It, or a library that it needs, can't be loaded.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:  # OSError, ImportError or RuntimeError, as the package's loader likes it
        raise BackendFailedError(backend, f"its libraries can't be loaded ({one_line(error)})", fix) from error


def library_folders(search: Iterable[str | Path]) -> list[Path]:
    """Folders of NVIDIA's and TensorRT's wheels that hold libraries, below those where Python looks, in order."""
    found: dict[Path, None] = {}
    for each in search:
        base = Path(each)
        if each and base.is_dir():
            found.update(dict.fromkeys(sorted(base.glob("nvidia/*/lib"))))
            found.update(dict.fromkeys(sorted(base.glob("tensorrt*_libs"))))
    return list(found)


def owners(module: str) -> list[str]:
    """The installed distributions that bring a module of `CLASHES`."""
    return [name for name in CLASHES[module] if version(name)]


def check_single_owner(module: str) -> None:
    """Refuse a module that several installed distributions bring.

    Raises:
        PackageClashError: More than one is installed; which files won is left to chance.
    """
    found = owners(module)
    if len(found) > 1:
        raise PackageClashError(module, found)
