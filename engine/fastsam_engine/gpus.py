"""Driver and Gpu: the NVIDIA driver and its GPUs, asked of the driver itself, so that no package is needed to ask."""

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
_NO_DEVICE = 100  # CUresult, of cuda.h, as are the codes below
_ERRORS = {
    2: ("out of memory", "free GPU memory"),
    3: ("the driver is not initialised", "restart the machine"),
    34: ("CUDA's stub for linking instead of the driver", "remove the folder 'stubs' from LD_LIBRARY_PATH"),
    46: ("another process has the GPU for itself", "end that process; see: nvidia-smi"),
    101: ("no such GPU", "see: nvidia-smi -L"),
    802: ("the system is not ready", "start the service nvidia-fabricmanager, or wait for it"),
    803: (
        "the driver's library and its kernel module are of different versions",
        "restart the machine, which ends an update of the driver, or the container",
    ),
    804: (
        "CUDA's forward compatibility package, which this GPU does not take",
        "remove the folder 'compat' from LD_LIBRARY_PATH, or update the driver",
    ),
    999: ("unknown error", "restart the machine, or reload the driver's module nvidia_uvm"),
}
_FAILS = "the NVIDIA driver does not work"
_FIRST_RELEASES = {11: 450, 12: 525, 13: 580}  # of the driver that serve a major version of CUDA


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or a MIG slice of one, which CUDA takes for a GPU of its own.

    Attributes:
        index: Its number among those that CUDA_VISIBLE_DEVICES leaves, from 0.
        name: As the driver says it, such as `NVIDIA GeForce RTX 4090`, or `NVIDIA A100-SXM4-40GB MIG 1g.5gb`.
        compute_capability: Major and minor, such as (8, 9).
        memory_bytes: Of the GPU, or of the slice; 0 where the driver does not say.
    """

    index: int
    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int = 0

    @property
    def device(self) -> str:
        """What sessions call it: `cuda:0`."""
        return f"cuda:{self.index}"

    @property
    def mig_profile(self) -> str:
        """The size of the MIG slice, such as `MIG 1g.5gb`; empty for a whole GPU."""
        found = _MIG.search(self.name)
        return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Driver:
    """The NVIDIA driver.

    Attributes:
        cuda: Major and minor of the newest CUDA that it serves; None where there is no driver.
        release: Its own version, such as `580.65.06`; empty where the system does not say.
        gpus: Those that CUDA can use here, in its order.
        problems: Why there are none, or not all, and what fixes it.
        is_broken: Whether it has GPUs that do not work, or does not work itself.
    """

    cuda: tuple[int, int] | None
    release: str
    gpus: tuple[Gpu, ...]
    problems: tuple[str, ...]
    is_broken: bool = False

    def lacks(self, major: int) -> str:
        """What the driver lacks for packages of a major version of CUDA; empty where it lacks nothing."""
        if self.cuda is None or self.cuda >= (major, 0):
            return ""
        first = f" ({_FIRST_RELEASES[major]} or later)" if major in _FIRST_RELEASES else ""
        release = f" ({self.release})" if self.release else ""
        return f"expected an NVIDIA driver for CUDA {major}{first}, found one for CUDA {dotted(self.cuda)}{release}"


def driver() -> Driver:
    """Ask the driver. Never raises, and makes no context on any GPU."""
    try:
        library = ctypes.CDLL(_DRIVER)
        cuda, release = _cuda(library), _release()
        count, why = _count(library)
        found = [_gpu(library, index) for index in range(count)]
    except OSError:
        return Driver(None, "", (), (_absent(),))
    except AttributeError:
        return Driver(None, "", (), (_strange(),))
    answering = tuple(each for each in found if isinstance(each, Gpu))
    problems = [each for each in (why, *found) if isinstance(each, str) and each]
    is_broken = len(answering) < count or why.startswith(_FAILS)
    return Driver(cuda, release, answering, tuple(problems), is_broken)


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that CUDA can use here, in its order; see `driver`."""
    return driver().gpus


def gpu_count() -> tuple[int, str]:
    """How many GPUs the NVIDIA driver has for this process; and where there are none, why."""
    try:
        return _count(ctypes.CDLL(_DRIVER))
    except OSError:
        return 0, _absent()
    except AttributeError:
        return 0, _strange()


def dotted(version: tuple[int, int]) -> str:
    """A version as text."""
    return "{}.{}".format(*version)


def _absent() -> str:
    return f"the NVIDIA driver's {_DRIVER} is not found; install the driver, or give the container its GPUs"


def _strange() -> str:
    return f"expected the NVIDIA driver, found another library called {_DRIVER}; see: nvidia-smi"


def _count(library: ctypes.CDLL) -> tuple[int, str]:
    count = ctypes.c_int()
    status = library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count))
    if status == _NO_DEVICE or (not status and not count.value):
        code = f" (CUDA error {status})" if status else ""
        chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
        fix = "see: nvidia-smi -L, where a GPU in MIG mode needs slices"
        if chosen is not None:
            fix = f"CUDA_VISIBLE_DEVICES is {chosen[:80]!r}: unset it, or name what nvidia-smi -L lists"
        return 0, f"the NVIDIA driver has none for this process{code}; {fix}"
    if status:
        return 0, _failed(_FAILS, status)
    return count.value, ""


def _failed(what: str, status: int) -> str:
    """What failed with a status code, the code in words, and what fixes it."""
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
    ask = getattr(library, "cuDeviceTotalMem_v2", None)
    return 0 if ask is None or ask(ctypes.byref(size), device) else size.value


def _cuda(library: ctypes.CDLL) -> tuple[int, int] | None:
    version = ctypes.c_int()
    ask = getattr(library, "cuDriverGetVersion", None)
    if ask is None or ask(ctypes.byref(version)):
        return None
    return version.value // 1000, version.value % 1000 // 10


def _release() -> str:
    try:
        return _RELEASE.read_text(encoding="utf-8").strip()[:20]
    except (OSError, ValueError):
        return ""
