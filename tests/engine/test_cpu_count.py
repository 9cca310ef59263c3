"""Test how usable CPUs are counted: affinity, quotas of both versions of control groups, requested threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fastsam_engine.cpu_count import CpuCount
from fastsam_engine.errors import RequestError, ThreadsError

_V2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
_V1 = (
    "32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "33 31 0:30 {top} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
)
Lay = Callable[[str, str, Mapping[str, str]], Path]


@pytest.fixture
def lay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lay:
    """Lays out the files of a Linux of 8 CPUs; returns its root."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)

    def write(membership: str, mounts: str, files: Mapping[str, str]) -> Path:
        for name, text in {"proc/self/cgroup": membership, "proc/self/mountinfo": mounts, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("text", "quota", "usable"),
    [
        ("max 100000", None, 8),
        ("150000 100000", 1.5, 2),
        ("50000 100000", 0.5, 1),
        ("1000 100000", 0.01, 1),
        ("300000", 3, 3),
        ("2000000 100000", 20, 8),
        ("200000 50000", 4, 4),
        ("0 100000", None, 8),
        ("100000 0", None, 8),
        ("nonsense", None, 8),
        ("²³ 100000", None, 8),
        ("9" * 5000, None, 8),
        ("", None, 8),
    ],
)
def test_quota_v2(lay: Lay, text: str, quota: float | None, usable: int) -> None:
    root = lay("0::/", _V2, {"sys/fs/cgroup/cpu.max": text})
    count = CpuCount.of_process(root)
    assert (count.quota, count.usable) == (quota, usable)


@pytest.mark.parametrize("smallest", ["", "a", "a/b", "a/b/c"])
def test_smallest_of_all_groups_counts(lay: Lay, smallest: str) -> None:
    files = {f"sys/fs/cgroup/{each}/cpu.max": "max 100000" for each in ("a", "a/b", "a/b/c")}
    files[f"sys/fs/cgroup/{smallest}/cpu.max"] = "250000 100000"
    assert CpuCount.of_process(lay("0::/a/b/c", _V2, files)).usable == 3


def test_group_of_another_process_is_of_no_account(lay: Lay) -> None:
    files = {"sys/fs/cgroup/a/cpu.max": "max 100000", "sys/fs/cgroup/other/cpu.max": "100000 100000"}
    assert CpuCount.of_process(lay("0::/a", _V2, files)).quota is None


@pytest.mark.parametrize(
    ("top", "membership", "folder"),
    [
        ("/", "4:cpu,cpuacct:/docker/abc\n3:memory:/x\n0::/", "docker/abc"),
        ("/", "4:cpu,cpuacct:/docker/abc", "docker"),
        ("/docker/abc", "4:cpuacct,cpu:/docker/abc", ""),
        ("/docker/abc", "4:cpu:/docker/abc/inner", "inner"),
        ("/docker/abc", "4:cpu:/elsewhere", ""),
        ("/", "4:cpu:/../..", ""),
    ],
)
def test_quota_v1(lay: Lay, top: str, membership: str, folder: str) -> None:
    at = f"sys/fs/cgroup/cpu,cpuacct/{folder}"
    files = {f"{at}/cpu.cfs_quota_us": "150000", f"{at}/cpu.cfs_period_us": "100000"}
    count = CpuCount.of_process(lay(membership, _V1.format(top=top), files))
    assert (count.quota, count.usable) == (1.5, 2)
    (lay(membership, _V1.format(top=top), {f"{at}/cpu.cfs_quota_us": "-1"}))
    assert CpuCount.of_process(lay(membership, _V1.format(top=top), {})).quota is None


def test_affinity_and_cores(lay: Lay, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = {f"sys/devices/system/cpu/cpu{i}/topology/thread_siblings_list": f"{i % 4},{i % 4 + 4}" for i in range(8)}
    root = lay("0::/", _V2, pairs)
    count = CpuCount.of_process(root)
    assert (count.allowed, count.usable, count.cores, count.default_threads) == (8, 8, 4, 4)
    assert str(count) == "8 of 8 CPUs on 4 cores may be used"
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 2, 5})
    count = CpuCount.of_process(root)
    assert (count.usable, count.default_threads, count.threads(3)) == (3, 2, 3)
    root = lay("0::/", _V2, {"sys/fs/cgroup/cpu.max": "50000 100000"})
    assert str(CpuCount.of_process(root)) == (
        "1 of 8 CPUs on 2 cores may be used: affinity allows 3, the container's quota is 0.5"
    )


def test_where_nothing_can_be_read(lay: Lay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert CpuCount.of_process(tmp_path / "nothing") == CpuCount(8, 8, 8, None)
    monkeypatch.delattr(os, "sched_getaffinity")
    assert CpuCount.of_process(tmp_path / "nothing") == CpuCount(8, 8, 8, None)


@pytest.mark.parametrize("asked", [0, -1, 3, 1.0, "2", True, False])
def test_refused(asked: int) -> None:
    count = CpuCount(8, 2, 2, None)
    allowed = r"expected a whole number from 1 to 2 \(2 of 8 CPUs may be used: affinity allows 2\), found "
    with pytest.raises(ThreadsError, match=f"{allowed}{asked!r}") as caught:
        count.threads(asked)
    assert isinstance(caught.value, RequestError)
    assert isinstance(caught.value, ValueError)


def test_taskset() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no CPU affinity here")
    told = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from fastsam_engine.cpu_count import CpuCount; found = CpuCount.of_process()\n"
        "print(found.usable, found.default_threads, found.threads(None))"
    )
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["1", "1", "1"]
