"""Test the engine cache: valid entries of this user are found again, all others are built again."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fastsam_engine import read_spec
from fastsam_engine.errors import ModelFileError, ModelNotFoundError, OutputError
from fastsam_engine.plans.build_request import BuildOptions
from fastsam_engine.plans.engine_cache import EngineCache
from fastsam_engine.plans.plan_file import Plan, PlanFacts, read_facts, read_plan, sidecar, write_plan
from fastsam_engine.store import atomic_files
from support.colour_models import segmenter_spec

KEY = {"graph": "abc", "version": "1.0"}


def _plan(data: bytes = b"plan " * 100) -> Plan:
    facts = PlanFacts("tensorrt", "11.0", "NVIDIA X (sm89)", "abc", BuildOptions(), {"detections": 1e-3})
    return Plan(segmenter_spec(), facts, data)


@pytest.fixture
def cache(home: Path) -> EngineCache:
    return EngineCache()


def test_a_plan_is_found_again_and_another_key_is_not(cache: EngineCache, home: Path) -> None:
    path = cache.path("tensorrt", "colours", KEY)
    assert path.is_relative_to(home / "engines" / "tensorrt")
    assert cache.load(path) is None
    cache.store(path, _plan())
    assert cache.load(path) == _plan()
    assert cache.path("tensorrt", "colours", {**KEY, "version": "1.1"}) != path
    assert cache.path("tensorrt", "colours", dict(reversed(KEY.items()))) == path
    (entry,) = cache.entries()
    assert entry.is_valid
    assert "NVIDIA X" in entry.description
    assert entry.size == path.stat().st_size + sidecar(path).stat().st_size


def test_a_plan_says_what_it_is_as_a_graph_does(tmp_path: Path) -> None:
    path = tmp_path / "m.plan"
    write_plan(path, _plan())
    assert read_spec(path) == segmenter_spec()
    with pytest.raises(ModelNotFoundError):
        read_spec(tmp_path / "none.plan")


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"q" + path.read_bytes()[1:]),
        lambda path: sidecar(path).unlink(),
        lambda path: sidecar(path).write_text("{"),
        lambda path: sidecar(path).write_text("[]"),
        lambda path: sidecar(path).write_text(json.dumps({**json.loads(sidecar(path).read_text()), "plan": {}})),
        lambda path: sidecar(path).write_text(json.dumps({**json.loads(sidecar(path).read_text()), "family": 3})),
    ],
    ids=["cut", "empty", "changed", "no-sidecar", "cut-sidecar", "list", "no-facts", "bad-spec"],
)
def test_a_harmed_plan_is_refused_by_name_and_passed_over_in_the_cache(cache: EngineCache, harm: Any) -> None:
    path = cache.path("tensorrt", "colours", KEY)
    cache.store(path, _plan())
    harm(path)
    with pytest.raises(ModelFileError, match="fastsam-trt build"):
        read_plan(path)
    assert cache.load(path) is None
    cache.store(path, _plan())
    assert cache.load(path) == _plan()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners are a matter of POSIX")
def test_what_others_may_have_made_is_not_loaded(cache: EngineCache, tmp_path: Path) -> None:
    path = cache.path("tensorrt", "colours", KEY)
    cache.store(path, _plan())
    path.chmod(0o666)
    assert cache.load(path) is None
    path.chmod(0o600)
    assert cache.load(path) == _plan()
    elsewhere = tmp_path / "elsewhere.plan"
    write_plan(elsewhere, _plan())
    path.unlink()
    path.symlink_to(elsewhere)
    assert cache.load(path) is None
    path.unlink()
    cache.store(path, _plan())
    path.parent.chmod(0o777)
    assert cache.load(path) is None


def test_a_cache_that_cannot_be_written_says_so(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cache.path("tensorrt", "colours", KEY)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic_files, "open_in_place", full)
    with pytest.raises(OutputError, match="No space left"):
        cache.store(path, _plan())
    monkeypatch.undo()
    assert not list(cache.folder.rglob("*.part"))
    blocked = EngineCache(cache.folder / "file")
    blocked.folder.write_text("in the way")
    with pytest.raises(OutputError, match="FASTSAM_TRT_HOME"):
        blocked.store(blocked.path("tensorrt", "colours", KEY), _plan())
    with pytest.raises(OutputError, match="FASTSAM_TRT_HOME"), blocked.building(blocked.path("rtx", "x", KEY)):
        pass


def test_timings_are_kept_and_a_damaged_file_is_ignored(cache: EngineCache) -> None:
    assert cache.byproduct(cache.byproduct_path("timings", "tensorrt", KEY)) == b""
    cache.store_byproduct(cache.byproduct_path("timings", "tensorrt", KEY), b"timings")
    assert cache.byproduct(cache.byproduct_path("timings", "tensorrt", KEY)) == b"timings"
    (file,) = cache.folder.rglob("*.timings")
    file.write_bytes(file.read_bytes()[:-1])
    assert cache.byproduct(cache.byproduct_path("timings", "tensorrt", KEY)) == b""
    file.write_bytes(b"")
    assert cache.byproduct(cache.byproduct_path("timings", "tensorrt", KEY)) == b""


def test_one_process_builds_and_the_next_waits_and_a_killed_one_lets_go(cache: EngineCache) -> None:
    path = cache.path("tensorrt", "colours", KEY)
    code = (
        "import sys, time, pathlib; from fastsam_engine.plans.engine_cache import EngineCache\n"
        "with EngineCache(pathlib.Path(sys.argv[1])).building(pathlib.Path(sys.argv[2])):\n"
        "    print('building', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(cache.folder), str(path)], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "building\n"
    waited = []

    def kill() -> None:
        waited.append(True)
        other.kill()

    try:
        with cache.building(path, waiting=kill):
            assert waited == [True]
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


def test_pruning_removes_what_was_not_used_and_what_is_broken(cache: EngineCache) -> None:
    old, new, broken = (cache.path("tensorrt", name, KEY) for name in ("old", "new", "broken"))
    for path in (old, new, broken):
        cache.store(path, _plan())
    sidecar(broken).unlink()
    day = 86400
    os.utime(old, (0, time.time() - 10 * day))
    abandoned = old.parent / ".old.plan.1.part"
    abandoned.write_bytes(b"half")
    os.utime(abandoned, (0, time.time() - day))
    cache.store_byproduct(cache.byproduct_path("timings", "tensorrt", KEY), b"timings")
    size = sum(each.stat().st_size for each in (old, sidecar(old), broken, abandoned))
    assert cache.prune(unused_s=5 * day) == size
    assert [each.path for each in cache.entries()] == [new]
    assert cache.byproduct(cache.byproduct_path("timings", "tensorrt", KEY)) == b"timings"
    assert cache.prune() > 0
    assert not [each for each in cache.folder.rglob("*") if each.is_file()]


def test_what_cannot_be_read_is_listed_passed_over_and_removed(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's files, and those that another process removes meanwhile; modes do not keep root from reading."""
    kept, refused = (cache.path("tensorrt", "m", {"n": n}) for n in range(2))
    for each in (kept, refused):
        cache.store(each, _plan())
    gone = refused.with_name("m-gone.plan")
    gone.symlink_to("nowhere")

    def read(path: Path) -> Any:
        if path == refused:
            raise PermissionError(13, "Permission denied")
        return read_facts(path)

    monkeypatch.setattr("fastsam_engine.plans.engine_cache.read_facts", read)
    found = {each.path: (each.is_valid, each.description) for each in cache.entries()}
    assert found.keys() == {kept, refused, gone}
    assert found[kept][0]
    assert found[refused] == (False, "broken: it can't be read (Permission denied)")
    assert found[gone] == (False, "broken: it can't be read (No such file or directory)")
    assert set(cache.plans("tensorrt", "m")) == found.keys()
    assert cache.load(gone) is None
    cache.prune(unused_s=3600)
    assert cache.plans("tensorrt", "m") == [kept]


def test_a_folder_in_which_nothing_can_be_reached_is_one_error(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cache.path("tensorrt", "m", {})
    cache.store(path, _plan())

    def refuse(*_: object, **__: object) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fastsam_engine.store.atomic_files.open_in_place", refuse)
    for method in ("exists", "glob", "unlink"):
        monkeypatch.setattr(Path, method, refuse)
    with pytest.raises(OutputError, match=r"it can't be written \(Permission denied\)"):
        cache.store(path, _plan())
    assert cache.load(path) is None
    assert cache.plans("tensorrt", "m") == []


def test_an_engine_file_of_ultralytics_is_read(tmp_path: Path) -> None:
    path = tmp_path / "yolov8n-seg.engine"
    names = {i: f"thing {i}" for i in range(12)}
    metadata = {"task": "segment", "stride": 32, "names": names, "imgsz": [640, 640], "batch": 1, "args": {}}
    text = json.dumps({**metadata, "names": {str(k): v for k, v in names.items()}}).encode()
    path.write_bytes(len(text).to_bytes(4, "little") + text + b"the plan")
    plan = read_plan(path)
    assert plan.data == b"the plan"
    assert (plan.spec.class_names, plan.facts.backend) == (tuple(names.values()), "tensorrt")
    for content in (b"", b"\x00" * 3, b"\xff\xff\xff\x7f plan", b"\x02\x00\x00\x00{] plan", b"\x02\x00\x00\x00{} plan"):
        path.write_bytes(content)
        with pytest.raises(ModelFileError):
            read_plan(path)


def test_the_facts_survive(tmp_path: Path) -> None:
    plan = _plan()
    write_plan(tmp_path / "a.plan", plan)
    assert dataclasses.asdict(read_plan(tmp_path / "a.plan").facts) == dataclasses.asdict(plan.facts)
