"""Noise of the machine: whether something else had a part in the times, or the processor changed its speed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NOISY = "noisy machine"
"""How the warning of noise begins."""
_STAT = Path("/proc/stat")
_FIXED_JOB = 20_000  # rounds of a loop, about a millisecond
_TRIES = 3
_NOISY_SPEED = 1.25  # slowest over fastest of the fixed job
_NOISY_STEAL, _NOISY_OTHERS = 0.02, 0.10  # of the processors' time
_TICKS_S = 0.02  # which the system's clocks don't tell from nothing


@dataclass(frozen=True, slots=True)
class BlockNoise:
    """What the machine did while a block was timed.

    Attributes:
        job_ms: A fixed piece of work, just before it.
        all_s, stolen_s, others_s: Time of all processors together: in all, taken by the host, taken by other processes;
            0 where the system does not tell.
    """

    job_ms: float
    all_s: float = 0.0
    stolen_s: float = 0.0
    others_s: float = 0.0

    @property
    def stolen(self) -> float:
        """Share of the time that the host took."""
        return self.stolen_s / self.all_s if self.all_s else 0.0

    @property
    def others(self) -> float:
        """Share of the time that other processes took."""
        return self.others_s / self.all_s if self.all_s else 0.0

    @property
    def disturbed(self) -> bool:
        """Whether the host or other processes had a part in the block's times."""
        by_host = self.stolen > _NOISY_STEAL and self.stolen_s > _TICKS_S
        return by_host or (self.others > _NOISY_OTHERS and self.others_s > _TICKS_S)


class NoiseWatch:
    """Looks at the machine around blocks of timed calls.

    Attributes:
        blocks: Of each, in order.
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
    """What makes times of these blocks doubtful, in words."""
    told = []
    jobs_ms = [block.job_ms for block in blocks]
    if jobs_ms and (ratio := max(jobs_ms) / min(jobs_ms)) > _NOISY_SPEED:
        told.append(f"a fixed piece of work took up to {ratio:.2f} times its shortest time")
    times = zip(*((block.all_s, block.stolen_s, block.others_s) for block in blocks), strict=True)
    together = BlockNoise(0.0, *map(sum, times))
    if together.stolen > _NOISY_STEAL:
        told.append(f"the host took {together.stolen:.0%} of the processors' time")
    if together.others > _NOISY_OTHERS:
        told.append(f"other processes took {together.others:.0%} of the processors' time")
    return (f"{NOISY}: {', '.join(told)}",) if told else ()


def _fixed_job_ms() -> float:
    """The shortest of some runs of work that never changes."""
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
    """Seconds of all processors together: all, idle, taken by the host; None where the system does not tell."""
    try:
        told = [int(each) for each in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
        hertz = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None
    if len(told) < 8:
        return None
    return sum(told) / hertz, (told[3] + told[4]) / hertz, told[7] / hertz
