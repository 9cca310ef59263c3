"""A double of the NVIDIA driver's library, for queries about GPUs."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import pytest

from fastsam_engine import gpus as gpus_module

GIB = 1 << 30


@dataclass(frozen=True)
class FakeGpu:
    """A GPU, or a MIG slice.

    Attributes:
        status: What every call about it returns.
    """

    name: str
    capability: tuple[int, int] = (8, 6)
    memory_bytes: int = 24 * GIB
    status: int = 0


class FakeDriver:
    """libcuda: like CUDA's, its functions write through pointers and return a status."""

    def __init__(self, *gpus: FakeGpu, cuda: int = 13000, init: int = 0) -> None:
        self._gpus = gpus
        self._cuda = cuda
        self._init = init

    def cuInit(self, flags: int) -> int:  # noqa: N802
        assert flags == 0
        return self._init

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = self._cuda
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self._gpus)
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        device._obj.value = index
        return self._gpus[index].status

    def cuDeviceGetName(self, name: Any, nbytes: int, device: Any) -> int:  # noqa: N802
        name.value = self._gpus[device.value].name.encode()[: nbytes - 1]
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = self._gpus[device.value].capability[{75: 0, 76: 1}[attribute]]
        return 0

    def cuDeviceTotalMem_v2(self, size: Any, device: Any) -> int:  # noqa: N802
        size._obj.value = self._gpus[device.value].memory_bytes
        return 0


def install(monkeypatch: pytest.MonkeyPatch, driver: FakeDriver | None, release: str = "") -> None:
    """Install a driver, or none, on this machine; other libraries load as usual."""
    real = ctypes.CDLL

    def load(name: Any, *given: Any, **named: Any) -> Any:
        if name != gpus_module._DRIVER:
            return real(name, *given, **named)
        if driver is None:
            raise OSError(name)
        return driver

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(gpus_module, "_release", lambda: release)
