"""The host's memory: how fast all cores together copy and read it, in working sets of a given size."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_UNKNOWN_CACHE, _UNKNOWN_FREE = 64 << 20, 2 << 30
_PASS_BYTES = 256 << 20  # of a small set, passes are made until so much has moved: starting threads costs nothing then


def last_level_cache() -> int:
    """Size of the largest cache of the processor, bytes; a usual one where the system does not tell."""
    try:
        told = [each.read_text().strip() for each in _CACHES.glob("index*/size")]
        return max(int(size[:-1]) * _UNITS[size[-1]] for size in told)
    except (OSError, ValueError, KeyError, IndexError):
        return _UNKNOWN_CACHE


def free_memory() -> int:
    """Memory that is free, bytes; a cautious guess where the system does not tell."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN_FREE


class HostMemory:
    """Arrays of one working set, an equal part for each core, to be copied and read by all of them at once."""

    def __init__(self, nbytes: int) -> None:
        """Take the memory, and touch it.

        Args:
            nbytes: The working set.
        """
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.nbytes = nbytes
        self._passes = max(_PASS_BYTES // nbytes, 1)
        length = nbytes // 2 // cores // 4
        self._parts = [(np.ones(length, np.float32), np.zeros(length, np.float32)) for _ in range(cores)]

    def copy_gbytes(self) -> float:
        """Copy one half of the set to the other: 1e9 bytes a second, read and written."""
        return self._rate(self._copy)

    def read_gbytes(self) -> float:
        """Read the set: 1e9 bytes a second. Graphs read more than they write, and reading alone may be faster."""
        return self._rate(self._read)

    def _rate(self, work: Callable[[tuple[NDArray[np.float32], NDArray[np.float32]]], None]) -> float:
        with ThreadPoolExecutor(len(self._parts)) as pool:
            list(pool.map(time.sleep, [1e-3] * len(self._parts)))  # the threads are there
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
