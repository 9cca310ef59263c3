"""Test the folder of ONNX Runtime's TensorRT engines: they are executable, so only this user may write there."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastsam_engine import find_graph, read_spec
from fastsam_engine.backends.onnxruntime import backend
from fastsam_engine.backends.onnxruntime.devices import Device
from fastsam_engine.errors import BuildInterruptedError, ModelFileError, OutputError
from fastsam_engine.plans import engine_cache
from fastsam_engine.session import OpenOptions

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="owners and modes are POSIX's")


class _OpenedError(Exception):
    """ONNX Runtime got a folder to load engines from."""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a graph, made by a first session, with an engine in it."""

    def load(_path: Path, _device: Any, told: Any, *_: Any) -> Any:
        raise _OpenedError(told[0][1]["trt_engine_cache_path"])

    monkeypatch.setattr(backend, "_load", load)
    with pytest.raises(_OpenedError) as opened:
        _open()
    made = Path(str(opened.value))
    (made / "a.engine").write_bytes(b"code")
    (made / "sub").mkdir(mode=0o700)
    (made / "sub" / "b.timing").write_bytes(b"times")
    with pytest.raises(_OpenedError):
        _open()
    return made


def _open() -> None:
    graph = find_graph("colours")
    backend.open_bound(graph, read_spec(graph), Device("tensorrt"), "tf32", OpenOptions())


@pytest.mark.parametrize("name", ["..", ".", "a.engine", "sub", "sub/b.timing"])
def test_what_everybody_can_write_is_not_loaded(folder: Path, name: str) -> None:
    (folder / name).chmod(0o777)
    with pytest.raises(
        OutputError, match=r"only this user can write, found one that every user can write; remove it, or set"
    ):
        _open()
    (folder / name).chmod(0o700)
    with pytest.raises(_OpenedError):
        _open()


@pytest.mark.parametrize("name", [".", "a.engine", "sub/b.timing"])
def test_links_are_not_followed(folder: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    (folder / name).resolve().rename(elsewhere)
    (folder / name).resolve().symlink_to(elsewhere)
    with pytest.raises(OutputError, match="expected an engine file, found a link; remove it"):
        _open()


@pytest.mark.parametrize("name", [".", "a.engine"])
def test_what_another_user_owns_is_not_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    theirs, real = (folder / name).resolve(), Path.lstat

    def lstat(path: Path) -> Any:
        told = real(path)
        owner = told.st_uid + (path == theirs)
        return SimpleNamespace(st_mode=told.st_mode, st_uid=owner)

    monkeypatch.setattr(Path, "lstat", lstat)
    with pytest.raises(OutputError, match="only this user can write, found one of another user; remove it"):
        _open()


def test_what_a_lax_umask_leaves_open_is_closed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_path: Path, _device: Any, told: Any, *_: Any) -> Any:
        made = Path(told[0][1]["trt_engine_cache_path"])
        (made / "a.engine").write_bytes(b"code")
        return SimpleNamespace(get_inputs=list, get_outputs=list)

    monkeypatch.setattr(backend, "_load", load)
    before = os.umask(0)
    try:
        for _ in range(2):
            with pytest.raises(ModelFileError):  # the double has no inputs
                _open()
    finally:
        os.umask(before)
    (engine,) = (home / "engines" / "onnxruntime").rglob("*.engine")
    assert engine.stat().st_mode & 0o002 == 0


def test_a_folder_that_cannot_be_made_is_an_error_of_the_output(folder: Path) -> None:
    for each in sorted(folder.rglob("*"), reverse=True):
        each.rmdir() if each.is_dir() else each.unlink()
    folder.rmdir()
    folder.write_text("in the way")
    with pytest.raises(OutputError, match=r"can't be created \(File exists\); make it writable"):
        _open()
    assert os.path.lexists(folder)
    assert engine_cache.EngineCache().folder in folder.parents


def test_an_interrupt_cancels_the_provider_that_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    cancelled = threading.Event()

    class Options(onnxruntime.SessionOptions):
        def set_load_cancellation_flag(self, value: bool) -> None:
            assert value
            cancelled.set()

    def build(*_: object, **__: object) -> Any:
        signal.raise_signal(signal.SIGINT)
        assert cancelled.wait(60)
        raise RuntimeError("Session initialization canceled due to user request.")

    monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
    monkeypatch.setattr(onnxruntime, "InferenceSession", build)
    with pytest.raises(BuildInterruptedError, match=r"the build of colours\.onnx was stopped"):
        _open()
    assert cancelled.is_set()
