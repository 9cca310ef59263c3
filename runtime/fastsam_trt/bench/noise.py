"""Noise of the machine: whether something else had a part in the times, or the processor changed its speed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STAT = Path("/proc/stat")
_FIXED_JOB = 20_000  # rounds of a loop, about a millisecond
_TRIES = 3
_NOISY_SPEED = 1.25  # slowest over fastest of the fixed job
_NOISY_STEAL, _NOISY_OTHERS = 0.02, 0.10  # of the processors' time


class NoiseWatch:
    """Looks at the machine around blocks of timed calls."""

    def __init__(self) -> None:
        self._jobs_ms: list[float] = []
        self._all = self._steal = self._others = 0.0

    @contextmanager
    def block(self) -> Iterator[None]:
        """Watch while a block is timed."""
        self._jobs_ms.append(_fixed_job_ms())
        before, own_before = _ticks(), _own_s()
        yield
        after, own_s = _ticks(), _own_s() - own_before
        if before and after:
            every, idle, steal = (b - a for a, b in zip(before, after, strict=True))
            self._all += every
            self._steal += steal
            self._others += max(every - idle - steal - own_s, 0.0)

    def warnings(self) -> tuple[str, ...]:
        """What makes times doubtful, in words."""
        told = []
        if self._jobs_ms and (ratio := max(self._jobs_ms) / min(self._jobs_ms)) > _NOISY_SPEED:
            told.append(f"a fixed piece of work took up to {ratio:.2f} times its shortest time")
        if self._all and self._steal / self._all > _NOISY_STEAL:
            told.append(f"the host took {self._steal / self._all:.0%} of the processors' time")
        if self._all and self._others / self._all > _NOISY_OTHERS:
            told.append(f"other processes took {self._others / self._all:.0%} of the processors' time")
        return (f"noisy machine: {', '.join(told)}",) if told else ()


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
