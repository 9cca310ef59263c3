"""Inspect installed packages: versions, modules, and distributions that overwrite each other."""

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
"""Module to the distributions that provide it; only one of them may be installed."""


def version(distribution: str) -> str:
    """Version of a distribution; empty if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def load_module(module: str, backend: str, fix: str) -> ModuleType:
    """Load the module of an installed backend.

    Args:
        module: Its name.
        backend: For the message.
        fix: Command that installs it again.

    Raises:
        BackendFailedError: It, or a library that it needs, can't be loaded.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:  # OSError, ImportError or RuntimeError, depending on the package
        raise BackendFailedError(backend, f"its libraries can't be loaded ({one_line(error)})", fix) from error


def library_folders(search: Iterable[str | Path]) -> list[Path]:
    """Library folders of NVIDIA's and TensorRT's wheels below Python's search folders, in their order."""
    found: dict[Path, None] = {}
    for each in search:
        base = Path(each)
        if each and base.is_dir():
            found.update(dict.fromkeys(sorted(base.glob("nvidia/*/lib"))))
            found.update(dict.fromkeys(sorted(base.glob("tensorrt*_libs"))))
    return list(found)


def owners(module: str) -> list[str]:
    """The installed distributions that provide a module of `CLASHES`."""
    return [name for name in CLASHES[module] if version(name)]


def check_single_owner(module: str) -> None:
    """Refuse a module that several installed distributions provide.

    Raises:
        PackageClashError: More than one is installed, so the module is a mixture of their files.
    """
    found = owners(module)
    if len(found) > 1:
        raise PackageClashError(module, found)
