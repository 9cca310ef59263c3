"""`--threads` and what may be used, on the way from the command to the libraries; log lines beside a progress bar."""

from __future__ import annotations

import io
import logging
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
    """OpenCV with three threads, and as it was afterwards."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    yield
    cv2.setNumThreads(before)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """The `threads` of the sessions that are opened, on a machine of 4 CPUs."""
    found: list[int | None] = []

    def note(*given: Any, threads: int | None = None, **more: Any) -> Session:
        found.append(threads)
        return open_session(*given, **more)

    for module in ("segmentation.segmenter", "clip.model", "frames.helper_sessions"):
        monkeypatch.setattr(f"fastsam_trt.{module}.open_session", note)
    _machine(monkeypatch, CpuCount(4, 4, 4, None))
    return found


def _machine(monkeypatch: pytest.MonkeyPatch, count: CpuCount) -> None:
    monkeypatch.setattr(CpuCount, "of_process", lambda: count)


def test_opencv_is_lowered_to_what_may_be_used_and_never_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, CpuCount(8, 8, 8, None))
    Segmenter("colours", threads=1)
    assert cv2.getNumThreads() == 3  # others in the process use it, too
    limit_opencv_threads(5)
    assert cv2.getNumThreads() == 3
    _machine(monkeypatch, CpuCount(8, 8, 8, 1.5))
    Segmenter("colours")
    assert cv2.getNumThreads() == 2
    limit_opencv_threads(1)
    assert cv2.getNumThreads() == 1


@pytest.mark.parametrize("command", ["run", "compare"])
def test_the_command_passes_threads_on(command: str, photo: Path, asked: list[int | None]) -> None:
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
    assert asked == [2, 2, 2]  # the segmenter, and CLIP's towers
    assert cv2.getNumThreads() == 2


@pytest.mark.parametrize("command", ["run", "compare", "build"])
@pytest.mark.parametrize("threads", ["0", "-1", "5", "99"])
def test_the_command_refuses_threads_that_can_not_be_had(
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


def test_helper_graphs_get_the_threads_too(asked: list[int | None]) -> None:
    pytest.importorskip("onnxruntime")
    Pipeline("demo-seg", frames_on_device=True, threads=3)
    assert len(asked) == 3
    assert set(asked) == {3}  # the network, and the graphs that prepare frames and decode masks


def test_doctor_says_how_many_may_be_used(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert before.endswith("\r")  # on a line of its own: the bar was wiped
    assert "1/2" in before
