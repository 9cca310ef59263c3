"""What is installed: versions, and distributions that overwrite each other."""

from __future__ import annotations

from importlib import metadata

from fastsam_engine.errors import PackageClashError

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
