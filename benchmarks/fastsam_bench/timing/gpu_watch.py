"""GpuWatch: power, clock and memory of the GPUs, as their driver tells them through nvidia-ml-py."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np

from fastsam_bench.results.records import Gpu

_EVERY_S = 0.05


class GpuWatch:
    """The GPUs of this machine; none where the package or the driver is not there.

    Attributes:
        gpus: As the driver names them.
        remark: Why there are none; None where there are.
    """

    def __init__(self) -> None:
        """Ask the driver."""
        self._nvml: Any = None
        self._handles: list[Any] = []
        self.gpus: tuple[Gpu, ...] = ()
        self.remark: str | None = None
        try:
            import pynvml
        except ImportError:
            self.remark = "power, clocks and memory of GPUs are left out: pip install 'fastsam-trt[bench]' brings them"
            return
        try:
            pynvml.nvmlInit()
            handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
            driver = _text(pynvml.nvmlSystemGetDriverVersion())
            gpus = []
            for handle in handles:
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle).total / 1e6
                gpus.append(Gpu(_text(pynvml.nvmlDeviceGetName(handle)), memory, driver))
        except pynvml.NVMLError as error:
            self.remark = f"power, clocks and memory of GPUs are left out: no NVIDIA GPU answers ({error})"
            return
        self._nvml, self._handles, self.gpus = pynvml, handles, tuple(gpus)

    def used_mb(self, device: str) -> float | None:
        """Memory in use on a session's device, 1e6 bytes, all processes together; None for a processor."""
        handle = self._handle(device)
        if handle is None:
            return None
        return self._told(lambda: self._nvml.nvmlDeviceGetMemoryInfo(handle).used / 1e6)

    def sample(self, device: str) -> Sampler:
        """What takes power and clock of a session's device while a `with` block runs."""
        handle = self._handle(device)
        if handle is None:
            return Sampler(())
        nvml = self._nvml
        return Sampler(
            (
                lambda: self._told(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1e3),
                lambda: self._told(lambda: float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))),
            )
        )

    def _handle(self, device: str) -> Any:
        """Of a device such as `cuda:1`; None where it is no GPU of ours."""
        name, _, place = device.partition(":")
        index = int(place) if place.isdigit() else 0
        return self._handles[index] if name not in ("cpu", "npu") and index < len(self._handles) else None

    def _told(self, ask: Callable[[], float]) -> float | None:
        try:
            return ask()
        except self._nvml.NVMLError:  # some boards tell no power
            return None


class Sampler:
    """Takes values on a thread of its own; a context manager, used once.

    Attributes:
        values: Of each thing that is asked for, those that it told.
    """

    def __init__(self, asked: tuple[Callable[[], float | None], ...]) -> None:
        self._asked = asked
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu-watch", daemon=True)
        self.values: tuple[list[float], ...] = tuple([] for _ in asked)

    def __enter__(self) -> Self:
        if self._asked:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._asked:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            for ask, values in zip(self._asked, self.values, strict=True):
                value = ask()
                if value is not None:
                    values.append(value)


def middle(values: list[float]) -> float | None:
    """The median; None of nothing."""
    return float(np.median(values)) if values else None


def _text(told: str | bytes) -> str:
    return told.decode() if isinstance(told, bytes) else told
