"""Gpu: which GPUs this machine has, asked of the driver itself, so that nothing need be installed to ask."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_NAME_BYTES = 256
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR, of cuda.h


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU.

    Attributes:
        index: Its number among those that CUDA_VISIBLE_DEVICES leaves, from 0.
        name: As the driver says it, such as `NVIDIA GeForce RTX 4090`.
        compute_capability: Major and minor, such as (8, 9).
    """

    index: int
    name: str
    compute_capability: tuple[int, int]

    @property
    def device(self) -> str:
        """What sessions call it: `cuda:0`."""
        return f"cuda:{self.index}"


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that CUDA can use here, in its order; none where there is no driver, or it does not answer.

    Never raises, and makes no context on any of them.
    """
    try:
        count, _ = gpu_count()
        found = [_gpu(ctypes.CDLL(_DRIVER), index) for index in range(count)]
    except AttributeError:  # a library of the driver's name that is none
        return ()
    return tuple(gpu for gpu in found if gpu is not None)


def gpu_count() -> tuple[int, str]:
    """How many GPUs the NVIDIA driver has for this process; and where there are none, why."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return 0, f"the NVIDIA driver's {_DRIVER} is not found; install the driver, or give the container its GPUs"
    count = ctypes.c_int()
    if status := driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0, f"the NVIDIA driver has none for this process (CUDA error {status}); see: nvidia-smi"
    return count.value, "" if count.value else "the NVIDIA driver has none for this process; see: nvidia-smi"


def _gpu(driver: ctypes.CDLL, index: int) -> Gpu | None:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
    if driver.cuDeviceGet(ctypes.byref(device), index) or driver.cuDeviceGetName(name, _NAME_BYTES, device):
        return None
    major, minor = ctypes.c_int(), ctypes.c_int()
    for value, attribute in ((major, _MAJOR), (minor, _MINOR)):
        if driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device):
            return None
    return Gpu(index, name.value.decode(errors="replace"), (major.value, minor.value))
