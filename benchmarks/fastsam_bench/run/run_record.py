"""The first record of a run: id, time, machine, versions and command line."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime

from fastsam_bench.results.records import Host, Run
from fastsam_bench.timing.gpu_watch import GpuWatch
from fastsam_trt.reports.machine import this_machine

_PACKAGES = ("fastsam-trt", "numpy", "opencv-python", "onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt",
             "tensorrt-rtx-cu13")  # fmt: skip


def new_run_id() -> str:
    """A unique id that begins with the time, in UTC."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def run_head(gpus: GpuWatch, command: tuple[str, ...], planned: tuple[str, ...] = ()) -> Run:
    """The first record of a run that begins now, on this machine.

    Args:
        gpus: The GPUs of the machine.
        command: The command line.
        planned: Ids of the planned cells.
    """
    machine = this_machine(_PACKAGES)
    versions = {name: each for name, each in machine.versions.items() if each != "not installed"}
    host = Host(machine.processor, machine.cores, machine.system, machine.python, versions, gpus.gpus)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Run(time=now, machine=host, command=command, planned=planned, memory_gb=_memory_gb())


def _memory_gb() -> float | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, OSError, ValueError):
        return None
