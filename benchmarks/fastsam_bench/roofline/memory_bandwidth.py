"""Measure the bandwidth of host memory: copies and reads by all cores, for a working set of a given size."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.cpu_count import CpuCount

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_UNKNOWN_CACHE, _UNKNOWN_FREE = 64 << 20, 2 << 30
_PASS_BYTES = 256 << 20  # passes over a small set move this much, so that the start of threads does not matter


def last_level_cache() -> int:
    """Size of the largest cache of the CPU, bytes; a common size if the system does not report it."""
    try:
        sizes = [path.read_text().strip() for path in _CACHES.glob("index*/size")]
        return max(int(size[:-1]) * _UNITS[size[-1]] for size in sizes)
    except (OSError, ValueError, KeyError, IndexError):
        return _UNKNOWN_CACHE


def free_memory() -> int:
    """Free memory, bytes; a cautious guess if the system does not report it."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN_FREE


class HostMemory:
    """Arrays of one working set, in equal parts per core, which all cores copy or read at the same time."""

    def __init__(self, nbytes: int) -> None:
        """Allocate and touch the memory.

        Args:
            nbytes: Size of the working set.
        """
        cores = CpuCount.of_process().allowed
        self.nbytes = nbytes
        self._passes = max(_PASS_BYTES // nbytes, 1)
        length = nbytes // 2 // cores // 4
        self._parts = [(np.ones(length, np.float32), np.zeros(length, np.float32)) for _ in range(cores)]

    def copy_gbytes(self) -> float:
        """Copy one half of the set to the other: 1e9 bytes per second, reads and writes together."""
        return self._rate(self._copy)

    def read_gbytes(self) -> float:
        """Read the set: 1e9 bytes per second. Graphs read more than they write, and reading alone may be faster."""
        return self._rate(self._read)

    def _rate(self, work: Callable[[tuple[NDArray[np.float32], NDArray[np.float32]]], None]) -> float:
        with ThreadPoolExecutor(len(self._parts)) as pool:
            list(pool.map(time.sleep, [1e-3] * len(self._parts)))  # start the threads
            start = time.perf_counter()
            list(pool.map(work, self._parts))
            spent_s = time.perf_counter() - start
        moved = self._passes * sum(each.nbytes + other.nbytes for each, other in self._parts)
        return moved / spent_s / 1e9

    def _copy(self, part: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
        for _ in range(self._passes):
            np.copyto(part[1], part[0])

    def _read(self, part: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
        for _ in range(self._passes):
            part[0].max()
            part[1].max()
