"""Facts of the GPU: operations per second in PyTorch, the driver's description, and errors by compute-sanitizer."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

_SUMMARY = re.compile(r"(?:ERROR SUMMARY|RACECHECK SUMMARY): (\d+)")
_PRODUCTS_A_TIMING = 10  # so many that the launch of one does not matter


def ceiling(device: str, precision: str, sides: Sequence[int], timings: int = 5) -> float:
    """The most operations per second of products of square random matrices in PyTorch.

    Args:
        device: PyTorch's name: `cuda` or `cpu`.
        precision: `fp32` (full precision), `tf32`, `fp16` or `bf16`.
        sides: Sizes of the matrices to try.
        timings: Number of timings per size; the best counts.
    """
    import torch

    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision, torch.float32)
    before, best = torch.backends.cuda.matmul.allow_tf32, 0.0
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        for side in sides:
            a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
            for timing in range(timings + 1):  # the first one chooses kernels
                _finish(device)
                start = time.perf_counter()
                for _ in range(_PRODUCTS_A_TIMING):
                    torch.matmul(a, b)
                _finish(device)
                spent_s = time.perf_counter() - start
                if timing:
                    best = max(best, 2 * side**3 * _PRODUCTS_A_TIMING / spent_s)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    return best


def _finish(device: str) -> None:
    import torch

    if device != "cpu":
        torch.cuda.synchronize()


def chip() -> dict[str, Any]:
    """The driver's description of the first GPU: name, driver, clocks (MHz), power (W), temperature (C)."""
    import pynvml  # type: ignore[import-untyped]  # of the package nvidia-ml-py

    pynvml.nvmlInit()
    try:
        gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
        kinds = {"sm": pynvml.NVML_CLOCK_SM, "memory": pynvml.NVML_CLOCK_MEM}
        return {
            "name": pynvml.nvmlDeviceGetName(gpu),
            "driver": pynvml.nvmlSystemGetDriverVersion(),
            **{f"{kind}_mhz": pynvml.nvmlDeviceGetClockInfo(gpu, each) for kind, each in kinds.items()},
            **{f"{kind}_max_mhz": pynvml.nvmlDeviceGetMaxClockInfo(gpu, each) for kind, each in kinds.items()},
            "power_limit_w": pynvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1e3,
            "temperature_c": pynvml.nvmlDeviceGetTemperature(gpu, pynvml.NVML_TEMPERATURE_GPU),
        }
    finally:
        pynvml.nvmlShutdown()


def command(tool: str, path: str, run: Sequence[str]) -> list[str]:
    """The command that runs a program under compute-sanitizer, NVIDIA's checker of memory accesses in kernels.

    Args:
        tool: `memcheck` or `racecheck`.
        path: Path of compute-sanitizer.
        run: Command of the program.
    """
    return [path, "--tool", tool, "--target-processes", "all", "--print-limit", "20", *run]


def errors_found(output: str) -> int | None:
    """Number of errors in all processes; None if compute-sanitizer printed no summary."""
    found = _SUMMARY.findall(output)
    return sum(map(int, found)) if found else None
