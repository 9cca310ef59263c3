"""Test that `--threads` reaches the libraries, and that log lines do not break a progress bar."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
from tqdm import tqdm

from fastsam_engine import Session, open_session
from fastsam_engine.cpu_count import CpuCount
from fastsam_trt import Pipeline, Segmenter
from fastsam_trt.cli.main import _LogLines, main
from fastsam_trt.frames.preprocess import limit_opencv_threads


@pytest.fixture(autouse=True)
def opencv() -> Iterator[None]:
    """Set OpenCV to three threads, and restore it afterwards."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    yield
    cv2.setNumThreads(before)


@pytest.fixture
def opened_threads(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """Record the `threads` of opened sessions, on a machine with 4 CPUs."""
    recorded: list[int | None] = []

    def record(*args: Any, threads: int | None = None, **kwargs: Any) -> Session:
        recorded.append(threads)
        return open_session(*args, **kwargs)

    for name, module in list(sys.modules.items()):
        if name.startswith("fastsam_trt.") and vars(module).get("open_session") is open_session:
            monkeypatch.setattr(module, "open_session", record)
    _machine(monkeypatch, CpuCount(4, 4, 4, None))
    return recorded


def _machine(monkeypatch: pytest.MonkeyPatch, count: CpuCount) -> None:
    monkeypatch.setattr(CpuCount, "of_process", lambda: count)


def test_opencv_threads_are_lowered_and_never_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, CpuCount(8, 8, 8, None))
    Segmenter("colours", threads=1)
    assert cv2.getNumThreads() == 3  # other code in the process uses it too
    limit_opencv_threads(5)
    assert cv2.getNumThreads() == 3
    _machine(monkeypatch, CpuCount(8, 8, 8, 1.5))
    Segmenter("colours")
    assert cv2.getNumThreads() == 2
    limit_opencv_threads(1)
    assert cv2.getNumThreads() == 1


@pytest.mark.parametrize("command", ["run", "compare"])
def test_the_command_passes_threads_on(command: str, photo: Path, opened_threads: list[int | None]) -> None:
    source = ["--source" if command == "run" else "--image", str(photo)]
    options = [
        "--model",
        "colours",
        "--clip",
        "clip-colours",
        "--selector",
        "clip",
        "--prompt",
        "red",
        "--threads",
        "2",
    ]
    assert main([command, *source, *options]) == 0
    assert opened_threads == [2, 2, 2]  # the segmenter, and CLIP's towers
    assert cv2.getNumThreads() == 2


@pytest.mark.parametrize("command", ["run", "compare", "build"])
@pytest.mark.parametrize("threads", ["0", "-1", "5", "99"])
def test_the_command_refuses_impossible_threads(
    command: str, threads: str, photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _machine(monkeypatch, CpuCount(4, 4, 4, None))
    given = {
        "run": ["--source", str(photo), "--model", "colours"],
        "compare": ["--image", str(photo), "--model", "colours", "--prompt", "red"],
        "build": ["colours", "--backend", "openvino"],
    }
    if command == "build":
        pytest.importorskip("openvino")
    assert main([command, *given[command], "--threads", threads]) == 2
    expected = f"threads: expected a whole number from 1 to 4 (4 of 4 CPUs may be used), found {threads}; "
    assert expected in capsys.readouterr().err


def test_helper_graphs_get_the_threads_too(opened_threads: list[int | None]) -> None:
    pytest.importorskip("onnxruntime")
    Pipeline("demo-seg", frames_on_device=True, threads=3)
    assert len(opened_threads) == 5
    assert set(opened_threads) == {3}  # trunk, heads and masks, and the graphs for preprocessing and mask decoding


def test_doctor_prints_the_usable_cpus(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, CpuCount(8, 3, 2, 1.5))
    main(["doctor"])
    expected = "2 of 8 CPUs on 2 cores may be used: affinity allows 3, the container's quota is 1.5"
    assert expected in capsys.readouterr().out


def test_log_lines_do_not_break_a_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr("sys.stderr", shown)
    with tqdm(total=2, file=shown, ncols=40, leave=False) as bar:
        bar.update()
        bar.refresh()
        _LogLines().emit(logging.LogRecord("x", logging.INFO, "x", 1, "compiling", None, None))
    before, _, _ = shown.getvalue().partition("compiling\n")
    assert before.endswith("\r")  # the bar was cleared before the line
    assert "1/2" in before
