"""Memory: the most that a cell alone takes, found in a process of its own."""

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
    """Peak memory of a process that opens a cell's model and makes a few calls; None where it failed."""
    try:
        told = run_child("memory", case.to_json())
    except ChildFailedError:
        return None
    return Memory(told.get("host_mb"), told.get("device_mb"))


def memory_of(case: CellCase) -> dict[str, float | None]:
    """In the child: do the cell's work, and tell this process' peak, and by how much a GPU's memory in use grew.

    Args:
        case: The cell.
    """
    from fastsam_bench.cases.opened_model import OpenedModel
    from fastsam_bench.scenarios import make_scenario
    from fastsam_trt.clip.model import Clip

    watch = GpuWatch()
    asked = case.model
    place = "cuda" if asked.device == "auto" else asked.device
    before = watch.used_mb(place)
    opened = OpenedModel(
        asked, lambda name: Clip(name, backend=asked.backend, device=asked.device, precision=asked.precision)
    )
    scenario = make_scenario(case, opened)
    scenario.enter()
    device = 0.0
    for _ in range(_CALLS):
        scenario.call()
        device = max(device, watch.used_mb(place) or 0.0)
    on_device = before is not None and opened.session.device != "cpu"
    return {"host_mb": host_peak_mb(), "device_mb": device - (before or 0.0) if on_device else None}


def host_peak_mb() -> float | None:
    """The most memory that this process held so far, 1e6 bytes; None where the system does not tell."""
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
