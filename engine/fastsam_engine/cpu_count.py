"""Count the CPUs that this process may use, by its affinity and its control groups' quotas."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fastsam_engine.errors import ThreadsError

_ROOT = Path("/")
_COUNT = re.compile(r"[1-9][0-9]{0,17}")  # above 0, as the kernel writes it


@dataclass(frozen=True, slots=True)
class CpuCount:
    """How many CPUs a process may use, and why.

    Attributes:
        machine: CPUs of the machine.
        allowed: CPUs that the process may run on, by its affinity or a container's cpuset.
        cores: Physical cores of the allowed CPUs.
        quota: CPU time that its control groups allow, in CPUs, such as 1.5; None if they set no limit.
    """

    machine: int
    allowed: int
    cores: int
    quota: float | None

    @classmethod
    def of_process(cls, root: Path = _ROOT) -> CpuCount:
        """Count for this process.

        Args:
            root: The folder that contains `proc` and `sys`.
        """
        machine = os.cpu_count() or 1
        if not hasattr(os, "sched_getaffinity"):  # macOS, Windows
            return cls(machine, machine, machine, None)
        allowed = os.sched_getaffinity(0)
        cores = {_siblings(root / "sys/devices/system/cpu", cpu) for cpu in allowed}
        return cls(machine, len(allowed), len(cores), _quota(root))

    @property
    def usable(self) -> int:
        """Largest number of threads that can run at once. A quota of 1.5 CPUs counts as 2, to use all of it."""
        return self._within_quota(self.allowed)

    @property
    def default_threads(self) -> int:
        """Number of threads for one computation: one per physical core, since a second one adds no speed.

        ONNX Runtime's and OpenVINO's defaults are the same but ignore quotas.
        """
        return self._within_quota(self.cores)

    def threads(self, requested: int | None) -> int:
        """Check a requested number of threads.

        Args:
            requested: The requested number; None: `default_threads`.

        Raises:
            ThreadsError: It is not a whole number from 1 to `usable`.
        """
        if requested is None:
            return self.default_threads
        if not isinstance(requested, int) or isinstance(requested, bool) or not 1 <= requested <= self.usable:
            raise ThreadsError(self.usable, str(self), requested)
        return requested

    def __str__(self) -> str:
        limits = [] if self.allowed == self.machine else [f"affinity allows {self.allowed}"]
        if self.quota is not None:
            limits.append(f"the container's quota is {self.quota:g}")
        cores = "" if self.cores == self.allowed else f" on {self.cores} cores"
        why = f": {', '.join(limits)}" if limits else ""
        return f"{self.usable} of {self.machine} CPUs{cores} may be used{why}"

    def _within_quota(self, count: int) -> int:
        return count if self.quota is None else max(1, min(count, math.ceil(self.quota)))


def _siblings(cpus: Path, cpu: int) -> str:
    """The CPUs on the same physical core, as the kernel lists them; without a list, the CPU itself."""
    return _read(cpus / f"cpu{cpu}" / "topology" / "thread_siblings_list") or str(cpu)


def _quota(root: Path) -> float | None:
    """The smallest quota of the process's control groups and their parents, in CPUs."""
    quotas = [quota for folder in _groups(root) for quota in (_quota_v2(folder), _quota_v1(folder)) if quota]
    return min(quotas, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the control groups, of both versions, that may limit the process's CPU time, with their parents."""
    memberships: dict[str, str] = {}
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            memberships["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            memberships["cgroup"] = path
    for line in _read(root / "proc/self/mountinfo").splitlines():
        mount, _, kind = line.partition(" - ")
        fields, kinds = mount.split(), kind.split()
        if len(fields) < 5 or not kinds or kinds[0] not in memberships:
            continue
        if kinds[0] == "cgroup" and "cpu" not in kinds[-1].split(","):
            continue
        # A container sees its group as the root of the mount, although its membership may name the whole path.
        top, own = PurePosixPath(_unescaped(fields[3])), PurePosixPath("/", memberships[kinds[0]])
        inside = own.relative_to(top if own.is_relative_to(top) else "/")
        folder = root / _unescaped(fields[4]).lstrip("/")
        yield folder
        for part in inside.parts:
            folder /= part
            if part == "..":  # outside what this namespace shows
                break
            yield folder


def _unescaped(path: str) -> str:
    return path.replace("\\040", " ")


def _quota_v2(folder: Path) -> float | None:
    return _ratio(*_read(folder / "cpu.max").split()[:2])


def _quota_v1(folder: Path) -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip())


def _ratio(quota: str = "", period: str = "100000") -> float | None:
    """Microseconds of CPU time per period; None for `max`, -1 and invalid text."""
    if not (_COUNT.fullmatch(quota) and _COUNT.fullmatch(period)):
        return None
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
