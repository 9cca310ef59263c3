"""Threads: PyTorch on every core of the machine, whatever a library set before."""

from __future__ import annotations

import os


def use_all_cores() -> int:
    """Let PyTorch use all cores; returns how many."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(cores)
    return cores
