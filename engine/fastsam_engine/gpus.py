"""Query the NVIDIA driver and its GPUs, without any package."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_RELEASE = Path("/sys/module/nvidia/version")
_NAME_BYTES = 256
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR, of cuda.h
_MIG = re.compile(r"\bMIG \d\S*")
_NO_DEVICE = 100  # CUresult of cuda.h, like the codes below
_ERRORS = {
    2: ("out of memory", "free GPU memory"),
    3: ("the driver is not initialised", "restart the machine"),
    34: ("CUDA's stub for linking instead of the driver", "remove the folder 'stubs' from LD_LIBRARY_PATH"),
    46: ("another process uses the GPU exclusively", "end that process; see: nvidia-smi"),
    101: ("no such GPU", "see: nvidia-smi -L"),
    802: ("the system is not ready", "start the service nvidia-fabricmanager, or wait for it"),
    803: (
        "the driver's library and its kernel module are of different versions",
        "restart the machine, which ends an update of the driver, or the container",
    ),
    804: (
        "CUDA's forward compatibility package, which this GPU does not support",
        "remove the folder 'compat' from LD_LIBRARY_PATH, or update the driver",
    ),
    999: ("unknown error", "restart the machine, or reload the driver's module nvidia_uvm"),
}
_FIRST_RELEASES = {11: 450, 12: 525, 13: 580}  # first driver releases that support a major version of CUDA


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or a MIG slice of one, which CUDA treats as a separate GPU.

    Attributes:
        index: Its number among the GPUs that CUDA_VISIBLE_DEVICES allows, from 0.
        name: From the driver, such as `NVIDIA GeForce RTX 4090`, or `NVIDIA A100-SXM4-40GB MIG 1g.5gb`.
        compute_capability: Major and minor, such as (8, 9).
        memory_bytes: Of the GPU, or of the slice; 0 if the driver does not tell.
    """

    index: int
    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int = 0

    @property
    def device(self) -> str:
        """Its name as a device, such as `cuda:0`."""
        return f"cuda:{self.index}"

    @property
    def mig_profile(self) -> str:
        """The size of the MIG slice, such as `MIG 1g.5gb`; empty for a whole GPU."""
        found = _MIG.search(self.name)
        return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class GpuCount:
    """How many GPUs the driver offers to this process.

    Attributes:
        count: 0 where there is none.
        problem: Why there is none, and what fixes it; empty otherwise.
        has_failed: Whether there is none because the driver does not work.
    """

    count: int
    problem: str = ""
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class Driver:
    """The NVIDIA driver.

    Attributes:
        cuda: Major and minor of the newest CUDA that it supports; None if there is no driver.
        release: Its version, such as `580.65.06`; empty if the system does not tell.
        gpus: The GPUs that CUDA can use here, in CUDA's order.
        problems: Why GPUs are missing, and how to fix that.
        is_broken: Whether the driver or one of its GPUs does not work.
    """

    cuda: tuple[int, int] | None
    release: str
    gpus: tuple[Gpu, ...]
    problems: tuple[str, ...]
    is_broken: bool = False

    def problem_for(self, major: int) -> str:
        """Why the driver is too old for packages of a major version of CUDA; empty if it is not."""
        if self.cuda is None or self.cuda >= (major, 0):
            return ""
        first = f" ({_FIRST_RELEASES[major]} or later)" if major in _FIRST_RELEASES else ""
        release = f" ({self.release})" if self.release else ""
        return f"expected an NVIDIA driver for CUDA {major}{first}, found one for CUDA {dotted(self.cuda)}{release}"


def driver() -> Driver:
    """Query the driver. Never raises, and makes no context on any GPU."""
    try:
        library = ctypes.CDLL(_DRIVER)
        cuda, release = _cuda(library), _release()
        counted = _count(library)
        found = [_gpu(library, index) for index in range(counted.count)]
    except OSError:
        return Driver(None, "", (), (_absent(),))
    except AttributeError:
        return Driver(None, "", (), (_strange(),))
    answering = tuple(each for each in found if isinstance(each, Gpu))
    problems = [each for each in (counted.problem, *found) if isinstance(each, str) and each]
    is_broken = counted.has_failed or len(answering) < counted.count
    return Driver(cuda, release, answering, tuple(problems), is_broken)


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that CUDA can use here, in CUDA's order; see `driver`."""
    return driver().gpus


def gpu_count() -> GpuCount:
    """Count the GPUs that the NVIDIA driver offers to this process. Never raises."""
    try:
        return _count(ctypes.CDLL(_DRIVER))
    except OSError:
        return GpuCount(0, _absent())
    except AttributeError:
        return GpuCount(0, _strange())


def dotted(version: tuple[int, int]) -> str:
    """A version as text."""
    return "{}.{}".format(*version)


def _absent() -> str:
    return f"the NVIDIA driver's {_DRIVER} is not found; install the driver, or give the container access to the GPUs"


def _strange() -> str:
    return f"expected the NVIDIA driver, found another library called {_DRIVER}; see: nvidia-smi"


def _count(library: ctypes.CDLL) -> GpuCount:
    count = ctypes.c_int()
    status = library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count))
    if status == _NO_DEVICE or (not status and not count.value):
        code = f" (CUDA error {status})" if status else ""
        chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
        fix = "see: nvidia-smi -L, where a GPU in MIG mode needs slices"
        if chosen is not None:
            fix = f"CUDA_VISIBLE_DEVICES is {chosen[:80]!r}: unset it, or name what nvidia-smi -L lists"
        return GpuCount(0, f"the NVIDIA driver offers no GPU to this process{code}; {fix}")
    if status:
        return GpuCount(0, _failed("the NVIDIA driver does not work", status), has_failed=True)
    return GpuCount(count.value)


def _failed(what: str, status: int) -> str:
    """A failure with its status code, the code in words, and how to fix it."""
    cause, fix = _ERRORS.get(status, ("", "see: nvidia-smi"))
    return f"{what} (CUDA error {status}{': ' if cause else ''}{cause}); {fix}"


def _gpu(library: ctypes.CDLL, index: int) -> Gpu | str:
    """A GPU, or why it can't be used."""
    device, name = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
    major, minor = ctypes.c_int(), ctypes.c_int()
    status = (
        library.cuDeviceGet(ctypes.byref(device), index)
        or library.cuDeviceGetName(name, _NAME_BYTES, device)
        or library.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
        or library.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    )
    if status:
        return _failed(f"GPU {index} does not answer", status)
    return Gpu(index, name.value.decode(errors="replace"), (major.value, minor.value), _memory_bytes(library, device))


def _memory_bytes(library: ctypes.CDLL, device: ctypes.c_int) -> int:
    size = ctypes.c_size_t()
    query = getattr(library, "cuDeviceTotalMem_v2", None)
    return 0 if query is None or query(ctypes.byref(size), device) else size.value


def _cuda(library: ctypes.CDLL) -> tuple[int, int] | None:
    version = ctypes.c_int()
    query = getattr(library, "cuDriverGetVersion", None)
    if query is None or query(ctypes.byref(version)):
        return None
    return version.value // 1000, version.value % 1000 // 10


def _release() -> str:
    try:
        return _RELEASE.read_text(encoding="utf-8").strip()[:20]
    except (OSError, ValueError):
        return ""
