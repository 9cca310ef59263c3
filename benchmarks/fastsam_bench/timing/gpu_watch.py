"""Read power, clock and memory of the GPUs from their driver, through nvidia-ml-py."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np

from fastsam_bench.results.records import Gpu

_EVERY_S = 0.05


class GpuWatch:
    """The GPUs of this machine; none if the package or the driver is missing.

    Attributes:
        gpus: The GPUs, as the driver reports them.
        note: Why there are none; None if there are some.
    """

    def __init__(self) -> None:
        """Query the driver."""
        self._nvml: Any = None
        self._handles: list[Any] = []
        self.gpus: tuple[Gpu, ...] = ()
        self.note: str | None = None
        try:
            import pynvml
        except ImportError:
            self.note = "power, clocks and memory of GPUs are left out: pip install 'fastsam-trt[bench]' brings them"
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
            self.note = f"power, clocks and memory of GPUs are left out: no NVIDIA GPU answers ({error})"
            return
        self._nvml, self._handles, self.gpus = pynvml, handles, tuple(gpus)

    def used_mb(self, device: str) -> float | None:
        """Memory in use on the device of a session by all processes, 1e6 bytes; None for a CPU."""
        handle = self._handle(device)
        if handle is None:
            return None
        return self._read(lambda: self._nvml.nvmlDeviceGetMemoryInfo(handle).used / 1e6)

    def sample(self, device: str) -> Sampler:
        """A sampler of power (W) and clock (MHz) of the device of a session, for a `with` block."""
        handle = self._handle(device)
        if handle is None:
            return Sampler(())
        nvml = self._nvml
        return Sampler(
            (
                lambda: self._read(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1e3),
                lambda: self._read(lambda: float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))),
            )
        )

    def _handle(self, device: str) -> Any:
        """The driver's handle of a device such as `cuda:1`; None if it is not one of the GPUs."""
        name, _, number = device.partition(":")
        index = int(number) if number.isdigit() else 0
        return self._handles[index] if name not in ("cpu", "npu") and index < len(self._handles) else None

    def _read(self, query: Callable[[], float]) -> float | None:
        try:
            return query()
        except self._nvml.NVMLError:  # some boards do not report their power
            return None


class Sampler:
    """Samples values on its own thread. A context manager, used once.

    Attributes:
        values: The samples of each query.
    """

    def __init__(self, queries: tuple[Callable[[], float | None], ...]) -> None:
        self._queries = queries
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu-watch", daemon=True)
        self.values: tuple[list[float], ...] = tuple([] for _ in queries)

    def __enter__(self) -> Self:
        if self._queries:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._queries:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            for query, values in zip(self._queries, self.values, strict=True):
                value = query()
                if value is not None:
                    values.append(value)


def middle(values: list[float]) -> float | None:
    """The median; None without values."""
    return float(np.median(values)) if values else None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
