"""Measure the peak memory of a cell, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from fastsam_bench.cases.case import CellCase
from fastsam_bench.cases.fresh_process import run_child
from fastsam_bench.errors import ChildFailedError
from fastsam_bench.results.records import Memory
from fastsam_bench.timing.gpu_watch import GpuWatch

_CALLS = 3
_STATUS = Path("/proc/self/status")


def measure_memory(case: CellCase) -> Memory | None:
    """Peak memory of a process that opens the model of a cell and makes a few calls; None if the process failed."""
    try:
        answer = run_child("memory", case.to_json())
    except ChildFailedError:
        return None
    return Memory(answer.get("host_mb"), answer.get("device_mb"))


def memory_of(case: CellCase) -> dict[str, float | None]:
    """In the child: make a few calls; return the peak memory of this process, and the growth of GPU memory in use.

    Args:
        case: The cell.
    """
    from fastsam_bench.cases.opened_model import OpenedModel
    from fastsam_bench.scenarios import make_scenario
    from fastsam_trt.clip.model import Clip

    watch = GpuWatch()
    model = case.model
    device_name = "cuda" if model.device == "auto" else model.device
    before = watch.used_mb(device_name)
    opened = OpenedModel(
        model, lambda name: Clip(name, backend=model.backend, device=model.device, precision=model.precision)
    )
    scenario = make_scenario(case, opened)
    scenario.enter()
    device = 0.0
    for _ in range(_CALLS):
        scenario.call()
        device = max(device, watch.used_mb(device_name) or 0.0)
    on_device = before is not None and opened.session.device != "cpu"
    return {"host_mb": host_peak_mb(), "device_mb": device - (before or 0.0) if on_device else None}


def host_peak_mb() -> float | None:
    """Peak memory of this process so far, 1e6 bytes; None if the system does not report it."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (peak if sys.platform == "darwin" else peak * 1024) / 1e6
