"""Detect noise of the machine: other load during a measurement, and changes of the CPU's speed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NOISY = "noisy machine"
"""Start of the warning about noise."""
_STAT = Path("/proc/stat")
_FIXED_JOB = 20_000  # iterations of a loop, about a millisecond
_TRIES = 3
_NOISY_SPEED = 1.25  # slowest over fastest of the fixed job
_NOISY_STEAL, _NOISY_OTHERS = 0.02, 0.10  # shares of the CPU time
_TICKS_S = 0.02  # resolution of the system's counters


@dataclass(frozen=True, slots=True)
class BlockNoise:
    """The state of the machine while a block was timed.

    Attributes:
        job_ms: Time of a fixed job just before the block.
        all_s, stolen_s, others_s: CPU time of all cores: total, taken by the host, taken by other processes; 0 if the
            system does not report it.
    """

    job_ms: float
    all_s: float = 0.0
    stolen_s: float = 0.0
    others_s: float = 0.0

    @property
    def stolen(self) -> float:
        """Share of the CPU time that the host took."""
        return self.stolen_s / self.all_s if self.all_s else 0.0

    @property
    def others(self) -> float:
        """Share of the CPU time that other processes took."""
        return self.others_s / self.all_s if self.all_s else 0.0

    @property
    def disturbed(self) -> bool:
        """Whether the host or other processes affected the times of the block."""
        by_host = self.stolen > _NOISY_STEAL and self.stolen_s > _TICKS_S
        return by_host or (self.others > _NOISY_OTHERS and self.others_s > _TICKS_S)


class NoiseWatch:
    """Records the noise of each block of timed calls.

    Attributes:
        blocks: Noise of each block, in order.
    """

    def __init__(self) -> None:
        self.blocks: list[BlockNoise] = []

    @contextmanager
    def block(self) -> Iterator[None]:
        """Watch while a block is timed."""
        job_ms = _fixed_job_ms()
        before, own_before = _ticks(), _own_s()
        yield
        after, own_s = _ticks(), _own_s() - own_before
        if before and after:
            every, idle, steal = (b - a for a, b in zip(before, after, strict=True))
            self.blocks.append(BlockNoise(job_ms, every, steal, max(every - idle - steal - own_s, 0.0)))
        else:
            self.blocks.append(BlockNoise(job_ms))


def warnings(blocks: Sequence[BlockNoise]) -> tuple[str, ...]:
    """Warnings about the times of these blocks."""
    causes = []
    jobs_ms = [block.job_ms for block in blocks]
    if jobs_ms and (ratio := max(jobs_ms) / min(jobs_ms)) > _NOISY_SPEED:
        causes.append(f"a fixed job took up to {ratio:.2f} times its shortest time")
    times = zip(*((block.all_s, block.stolen_s, block.others_s) for block in blocks), strict=True)
    together = BlockNoise(0.0, *map(sum, times))
    if together.stolen > _NOISY_STEAL:
        causes.append(f"the host took {together.stolen:.0%} of the CPU time")
    if together.others > _NOISY_OTHERS:
        causes.append(f"other processes took {together.others:.0%} of the CPU time")
    return (f"{NOISY}: {', '.join(causes)}",) if causes else ()


def _fixed_job_ms() -> float:
    """The shortest time of several runs of a fixed job."""
    best_s = float("inf")
    for _ in range(_TRIES):
        start = time.perf_counter()
        sum(i * i for i in range(_FIXED_JOB))
        best_s = min(best_s, time.perf_counter() - start)
    return best_s * 1e3


def _own_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _ticks() -> tuple[float, float, float] | None:
    """CPU time of all cores, seconds: total, idle, taken by the host; None if the system does not report it."""
    try:
        counters = [int(each) for each in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
        hertz = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None
    if len(counters) < 8:
        return None
    return sum(counters) / hertz, (counters[3] + counters[4]) / hertz, counters[7] / hertz
