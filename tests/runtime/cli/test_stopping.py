"""Test that one, two or three signals stop a run, whatever it is doing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from support.colour_models import scene
from support.started_command import DEADLOCK, STUCK, lines_of, start, wait_for
from support.typed import present

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no signals to other processes here")

Write = Callable[[Path, list[np.ndarray]], Path]

END_S = 120  # far below the sleeps, far above the time that is needed


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, write_video: Write) -> Path:
    """A video that is longer than any of the runs."""
    return write_video(tmp_path_factory.mktemp("videos") / "long.avi", [scene(("red", 1, 1), ("green", 5, 5))] * 3000)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def _frames(path: Path) -> int:
    return int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT))


def _press(process: subprocess.Popen[str], times: int, number: int = signal.SIGINT) -> tuple[str, str]:
    """Press Ctrl-C `times` times quickly, and wait for the end."""
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.05)
    printed, errors = process.communicate(timeout=END_S)
    assert "Traceback" not in errors
    assert "KeyboardInterrupt" not in errors
    return printed, errors


@pytest.mark.parametrize(
    ("place", "number"),
    [
        ("from fastsam_trt import Pipeline; after(Pipeline, 'segment', 3", signal.SIGINT),
        ("from fastsam_trt import Pipeline; after(Pipeline, 'segment', 3", signal.SIGHUP),
        ("from fastsam_trt import Pipeline; after(Pipeline, 'select', 3", signal.SIGTERM),
        ("from fastsam_trt.sources.video.video_file import Decoder; after(Decoder, 'decode', 8", signal.SIGINT),
    ],
)
def test_one_signal_ends_a_run_with_stuck_threads(
    place: str, number: int, video: Path, tmp_path: Path, marker: Path
) -> None:
    out, lines, stats = tmp_path / "out.mp4", tmp_path / "out.jsonl", tmp_path / "stats.json"
    arguments = ("--save", out, "--json", lines, "--stats", stats)
    code = (
        f"{STUCK}\n{place}, {str(marker)!r})\nfrom fastsam_trt.cli import source_run; source_run._STOP_WITHIN_S = 0.5"
    )
    with start(code, "run", "--video", video, "--model", "colours", *arguments) as run:
        wait_for(marker)
        wait_for(lines, 1)
        printed, errors = _press(run, 1, number)
    assert run.returncode == 128 + number, errors
    count = len(lines_of(lines))
    assert count > 0
    assert _frames(out) == count
    assert (found := json.loads(stats.read_text()))["interrupted"] is True
    assert found["frames"] == count
    assert printed.startswith(f"{count} frame")


@pytest.mark.parametrize(("presses", "ending"), [(1, "stopped"), (2, "stopped"), (0, "over")])
def test_a_run_does_not_wait_for_a_change_of_prompts(
    presses: int, ending: str, tmp_path: Path, marker: Path, video: Path, write_video: Write
) -> None:
    pytest.importorskip("aiohttp")
    slow = f"""{STUCK}
from fastsam_trt.pipeline.selection_stage import SelectionStage
after(SelectionStage, "build", 1, {str(marker)!r})
"""
    shown = [scene(("red", 1, 1), ("green", 5, 5))] * 75
    source = write_video(tmp_path / "clip.avi", shown) if ending == "over" else video
    out, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    arguments = ("run", "--video", source, "--policy", "latest", "--model", "colours", "--prompt", "red")
    answers: list[str] = []
    with start(slow, *arguments, "--save", out, "--json", lines, "--preview", "0") as run:
        while "preview at " not in (line := present(run.stderr).readline()):
            assert line, "it ended without a preview"
        wait_for(lines, 3000)
        url = f"{line.split('preview at ')[1].strip()}prompts"

        def post() -> None:
            request = urllib.request.Request(url, b'{"prompts": ["green"]}', {"Content-Type": "application/json"})
            with contextlib.suppress(OSError):
                try:
                    urllib.request.urlopen(request, timeout=END_S)
                except urllib.error.HTTPError as error:
                    answers.append(json.load(error)["error"])

        posting = threading.Thread(target=post)
        posting.start()
        wait_for(marker)
        _, errors = _press(run, presses)
        posting.join()
    assert run.returncode == (130 if presses else 0), errors
    assert len(lines_of(lines)) - _frames(out) in (
        (0, 1) if presses == 2 else (0,)
    )  # interrupted between the two files
    assert presses == 2 or answers == ["the run has ended"]


PLACES = {
    "opening the source": "import fastsam_trt.sources as at; after(at, 'open_source', 0",
    "opening the model": "import fastsam_trt.cli.options as at; after(at, 'open_pipeline', 0",
    "the first frame": "from fastsam_trt.sinks import VideoSink as at; after(at, 'write', 0",
    "a later frame": "from fastsam_trt.sinks import VideoSink as at; after(at, 'write', 5",
    "the end of a file": "from fastsam_trt.sinks.video.encoder import VideoEncoder as at; after(at, 'close', 0",
    "the summary": "import fastsam_trt.cli.summary as at; after(at, 'ending', 0",
}


@pytest.mark.parametrize(("place", "presses"), [*((place, 3) for place in PLACES), ("a later frame", 2)])
def test_repeated_signals_end_a_run_at_once_and_without_a_traceback(
    place: str, presses: int, tmp_path: Path, marker: Path, write_video: Write
) -> None:
    video = write_video(tmp_path / "short.avi", [scene(("red", 1, 1))] * 12)
    out, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    arguments = ("run", "--video", video, "--model", "colours", "--save", out, "--json", lines)
    with start(f"{STUCK}\n{PLACES[place]}, {str(marker)!r})", *arguments) as run:
        wait_for(marker)
        _, errors = _press(run, presses)
    assert run.returncode == 130, errors
    if lines.exists():
        assert len(lines_of(lines)) <= 12
    if place == "the summary":
        assert _frames(out) == len(lines_of(lines)) == 12
    assert not list(tmp_path.glob("*.part"))


def test_a_second_signal_ends_a_stuck_library_call(tmp_path: Path, marker: Path, video: Path) -> None:
    out, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    code = f"""{DEADLOCK}
from fastsam_trt.cli import signal_watch
signal_watch._EXIT_S = 0.3
from fastsam_trt.sinks import VideoSink
VideoSink.write = lambda *_: forever({str(marker)!r})
"""
    with start(code, "run", "--video", video, "--model", "colours", "--save", out, "--json", lines) as run:
        wait_for(marker)
        _press(run, 2)
    assert run.returncode == 130
    assert len(lines_of(lines)) == 1


def test_one_signal_ends_a_run_that_waits_for_a_reader(tmp_path: Path, video: Path) -> None:
    fifo, lines = tmp_path / "out.ts", tmp_path / "out.jsonl"
    os.mkfifo(fifo)
    code = "from fastsam_trt.cli import signal_watch; signal_watch._STUCK_S = 0.5"
    with start(code, "run", "--video", video, "--model", "colours", "--save", fifo, "--json", lines) as run:
        wait_for(lines, 1)
        time.sleep(0.3)  # until the FIFO is being opened
        _, errors = _press(run, 1)
    assert run.returncode == 130, errors
    assert len(lines_of(lines)) == 1


def test_a_recording_without_a_reader_ends_the_run(tmp_path: Path, video: Path) -> None:
    fifo, lines = tmp_path / "out.ts", tmp_path / "out.jsonl"
    os.mkfifo(fifo)
    with start("", "run", "--video", video, "--model", "colours", "--save", fifo, "--json", lines) as run:
        with fifo.open("rb") as reader:
            assert reader.read(188)
        _, errors = run.communicate(timeout=END_S)
    assert run.returncode == 1
    (line,) = [line for line in errors.splitlines() if "error" in line]
    assert "its reader to stay open" in line
    assert lines_of(lines)


def test_signals_before_and_after_the_command_print_no_traceback(tmp_path: Path, marker: Path) -> None:
    for place in (
        f"import fastsam_trt.cli.main as at; after(at, 'main', 0, {str(marker)!r})",
        f"import fastsam_trt.cli.main as at; after(at, '_exit', 0, {str(marker)!r})",
        f"import atexit; at = pathlib.Path; after(at, 'home', 0, {str(marker)!r}); atexit.register(at.home)",
    ):
        marker.unlink(missing_ok=True)
        with start(f"{STUCK}\n{place}", "info", "colours") as run:
            wait_for(marker)
            _press(run, 1)
        assert run.returncode == 130
