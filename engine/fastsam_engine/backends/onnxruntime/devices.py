"""Name the devices of ONNX Runtime, and find those that work on this machine.

ONNX Runtime is not loaded for this. The NVIDIA driver is queried only if the package for GPUs is installed, and CUDA's
libraries are searched only if the driver has a GPU.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Literal

from fastsam_engine.errors import BackendFailedError, one_line
from fastsam_engine.gpus import driver, gpu_count
from fastsam_engine.packages import library_folders, owners

_logger = logging.getLogger(__name__)

GPU_DISTRIBUTION = "onnxruntime-gpu"
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_TENSORRT_LIBRARIES = ("libnvinfer.so.10", "libnvonnxparser.so.10")
_INSTALL_GPU = "pip install 'fastsam-trt[gpu]'"
_INSTALL_TENSORRT = "pip install 'tensorrt-cu13<11'"


@dataclass(frozen=True, slots=True)
class Device:
    """A device of ONNX Runtime: its kind, and the index of its GPU."""

    kind: Literal["cpu", "cuda", "tensorrt"]
    index: int = 0

    @classmethod
    def parse(cls, name: str) -> Device:
        """Read a name that `find_devices` returns: `cpu`, `cuda`, `tensorrt:1`."""
        kind, _, index = name.partition(":")
        kinds: dict[str, Literal["cpu", "cuda", "tensorrt"]] = {"cpu": "cpu", "cuda": "cuda", "tensorrt": "tensorrt"}
        return cls(kinds[kind], int(index or 0))

    def __str__(self) -> str:
        return self.kind if self.index == 0 else f"{self.kind}:{self.index}"

    @property
    def provider(self) -> str:
        """Name of the provider that computes on it."""
        return PROVIDERS[self.kind]

    @property
    def memory(self) -> Literal["cpu", "cuda"]:
        """ONNX Runtime's name for the memory of its arrays."""
        return "cpu" if self.kind == "cpu" else "cuda"


def find_devices(distribution: str) -> tuple[tuple[str, ...], str]:
    """Find the devices that the installed ONNX Runtime can use here.

    Args:
        distribution: The installed one, such as `onnxruntime-gpu`.

    Returns:
        The devices, best first; and why some are missing and how to fix that, empty if none is. TensorRT's come after
        CUDA's although they may be faster, since they first build an engine for minutes.
    """
    if distribution != GPU_DISTRIBUTION:
        return ("cpu",), f"for an NVIDIA GPU: pip uninstall -y {distribution} && {_INSTALL_GPU}"
    gpus = gpu_count()
    if not gpus.count:
        return ("cpu",), f"no GPU: {gpus.problem}"
    package = _package_folder(distribution)
    if missing := _missing(_cuda_libraries(package), package):
        return ("cpu",), f"no cuda: {', '.join(missing)} not found; {_INSTALL_GPU}"
    if problem := driver().problem_for(_cuda_major(package)):
        return ("cpu",), f"no cuda: {problem}; update the driver"
    devices = [str(Device("cuda", index)) for index in range(gpus.count)]
    absent = ""
    if missing := _missing(_TENSORRT_LIBRARIES if sys.platform == "linux" else (), package):
        absent = f"no tensorrt: {', '.join(missing)} not found; {_INSTALL_TENSORRT}"
    else:
        devices += [str(Device("tensorrt", index)) for index in range(gpus.count)]
    return (*devices, "cpu"), absent


def load_libraries(onnxruntime: ModuleType, device: Device) -> None:
    """Load the libraries of a GPU's provider from their wheels, before the provider looks for them itself.

    Raises:
        BackendFailedError: A library exists but can't be loaded.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):  # it prints what it can't load
        onnxruntime.preload_dlls()
    if printed.getvalue():
        _logger.debug("onnxruntime.preload_dlls: %s", printed.getvalue().strip())
    package = _package_folder(owners("onnxruntime")[0])
    for name in _cuda_libraries(package):  # from wheels elsewhere on Python's path, which ONNX Runtime does not search
        if not _loads(name):
            _load_from(_wheel_folders(package), name)
    if device.kind == "tensorrt":
        for name in _TENSORRT_LIBRARIES:
            _load_from(_wheel_folders(package), name)


def _package_folder(distribution: str) -> Path:
    return Path(str(metadata.distribution(distribution).locate_file("onnxruntime")))


def _cuda_libraries(package: Path) -> tuple[str, ...]:
    """The libraries that the CUDA provider links or opens; none if the package does not tell its CUDA version."""
    major = _cuda_major(package)
    if not major or sys.platform != "linux":
        return ()
    names = ("libcublasLt", "libcublas", "libcudart")
    return (*(f"{name}.so.{major}" for name in names), "libcurand.so.10", "libcudnn.so.9")


def _cuda_major(package: Path) -> int:
    """The major version of CUDA that the package was built for; 0 if it is not recorded."""
    facts = package / "capi" / "build_and_package_info.py"
    found = re.search(r"^cuda_version = '(\d+)", facts.read_text() if facts.is_file() else "", re.MULTILINE)
    return 0 if found is None else int(found[1])


def _wheel_folders(package: Path) -> list[Path]:
    """Library folders of wheels: first beside ONNX Runtime, then elsewhere on Python's path."""
    return library_folders([package.parent, *sys.path])


def _load_from(folders: list[Path], name: str) -> None:
    """Load a library from the first folder that has it, if any."""
    for folder in folders:
        if (folder / name).is_file():
            try:
                ctypes.CDLL(str(folder / name))
            except OSError as error:
                raise BackendFailedError(
                    "onnxruntime", f"{name} can't be loaded ({one_line(error)})", "see: fastsam-trt doctor"
                ) from error
            return


def _missing(libraries: tuple[str, ...], package: Path) -> list[str]:
    folders = _wheel_folders(package)
    return [name for name in libraries if not (any((each / name).is_file() for each in folders) or _loads(name))]


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
