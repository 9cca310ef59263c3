"""Test the command on videos and live sources: policies, stopping, statistics and the preview."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastsam_trt import __version__
from fastsam_trt.cli import summary
from fastsam_trt.cli.main import main
from fastsam_trt.results.plot import plot_next
from fastsam_trt.results.result import Result
from fastsam_trt.sinks import VideoSink, shared_overlay
from fastsam_trt.sources import Frame, SourceHealth
from fastsam_trt.streaming.stats import FlowStats
from support.colour_models import scene
from support.made_results import made_result
from support.started_command import lines_of, start, wait_for
from support.typed import present

Write = Callable[[Path, list[np.ndarray]], Path]


@pytest.fixture
def video(tmp_path: Path, write_video: Write) -> Path:
    return write_video(tmp_path / "clip.avi", [scene(("red", 1, 1))] * 25)


def _run(source: Path, *arguments: object) -> int:
    return main(["run", "--video", str(source), "--model", "colours", *map(str, arguments)])


def test_the_progress_line_has_no_frame_age_before_the_first_frame() -> None:
    text = summary.live(FlowStats({}, SourceHealth).snapshot())
    assert text.startswith("0.0 FPS, dropped 0, ")


def test_the_statistics_of_a_run(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stats = tmp_path / "stats.json"
    assert _run(video, "--prompt", "red", "--stats", stats, "--budget", 200) == 0
    found = json.loads(stats.read_text())
    assert (found["frames"], found["captured"], found["dropped"], found["segments"]) == (25, 25, 0, 25)
    assert (found["policy"], found["track"], found["budget_ms"], found["prompts"]) == ("every", True, 200, ["red"])
    assert (found["source"], found["model"], found["interrupted"], found["error"]) == (
        str(video),
        "colours",
        False,
        None,
    )
    assert found["versions"]["fastsam-trt"] == __version__
    assert found["fps_out_mean"] == pytest.approx(25 / found["seconds"], rel=0.01)
    assert 0 < found["age_p50_ms"] <= found["age_p99_ms"]
    assert found["health"]["losses"] == 0
    line, *saved = capsys.readouterr().out.splitlines()
    assert saved == [f"saved {stats}"]
    assert line.startswith("25 frames, 25 selected segments, ")
    assert re.search(r"output [\d.]+/[\d.]+; frame age p50/p99 [\d.]+/[\d.]+ ms; dropped 0 frames$", line)


def test_images_have_no_age(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(photo) == 0
    assert "age" not in capsys.readouterr().out.splitlines()[-1]


def test_latest_plays_a_file_at_its_own_speed(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, stats = tmp_path / "out.jsonl", tmp_path / "stats.json"
    begin_s = time.perf_counter()
    assert _run(video, "--policy", "latest", "--json", lines, "--stats", stats) == 0
    assert time.perf_counter() - begin_s > 24 / 25
    indices = [record["frame"] for record in lines_of(lines)]
    assert indices == sorted(set(indices))
    found = json.loads(stats.read_text())
    assert found["captured"] == 25
    assert found["frames"] == len(indices) == 25 - found["dropped"]
    assert found["policy"] == "latest"


def test_tracking_can_be_switched_off(video: Path, tmp_path: Path) -> None:
    lines = tmp_path / "out.jsonl"
    assert _run(video, "--no-track", "--json", lines) == 0
    assert {each["track"] for record in lines_of(lines) for each in record["segments"]} == {None}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--budget", "0"],
        ["--budget", "-3"],
        ["--budget", "nan"],
        ["--budget", "inf"],
        ["--budget", "50", "--no-track"],
        ["--policy", "newest"],
        ["--reconnect", "-1"],
        ["--stall", "0"],
        ["--preview", "no port"],
        ["--stats", "stats.txt"],
        ["--stats", "/no/such/folder/stats.json"],
    ],
)
def test_invalid_options_are_refused_before_any_work(
    video: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--video", str(video), "--model", "no-such-model", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fastsam-trt: error: ")
    assert "unexpected" not in line
    assert "no-such-model" not in line


def test_options_that_images_do_not_support(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(photo, "--budget", 50) == 2
    assert "--track" in capsys.readouterr().err
    assert _run(photo, "--policy", "latest") == 2
    assert "for images" in capsys.readouterr().err


def test_a_failed_run_writes_its_statistics_too(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stats, lines = tmp_path / "stats.json", tmp_path / "out.jsonl"
    assert _run(video, "--box", 300, 300, 320, 320, "--stats", stats, "--json", lines) == 2
    found = json.loads(stats.read_text())
    assert found["error"].startswith("PromptError: ")
    assert found["frames"] == 0
    assert found["age_p50_ms"] is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_with_whole_files(number: int, long_video: Path, tmp_path: Path) -> None:
    out, lines, stats = tmp_path / "out.mp4", tmp_path / "out.jsonl", tmp_path / "stats.json"
    arguments = ("run", "--video", long_video, "--model", "colours", "--save", out, "--json", lines, "--stats", stats)
    with start("", *arguments) as process:
        wait_for(lines, 20_000)
        process.send_signal(number)
        printed, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number, errors
    records = lines_of(lines)
    assert 0 < len(records) < 3000
    assert [record["frame"] for record in records] == list(range(len(records)))
    assert cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT) == len(records)
    assert printed.splitlines()[0].startswith(f"{len(records)} frames, ")
    found = json.loads(stats.read_text())
    assert (found["frames"], found["interrupted"]) == (len(records), True)


def test_a_second_interrupt_ends_at_once(long_video: Path, tmp_path: Path) -> None:
    lines = tmp_path / "out.jsonl"
    slow = """
import time, pathlib
from fastsam_trt import Pipeline
segment, count = Pipeline.segment, []
def slow(*args, **given):
    count.append(1)
    if len(count) > 3:
        pathlib.Path(r"{}").touch()
        time.sleep(10_000)
    return segment(*args, **given)
Pipeline.segment = slow
"""
    asleep = tmp_path / "asleep"
    arguments = ("run", "--video", long_video, "--model", "colours", "--json", lines)
    with start(slow.format(asleep), *arguments) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (asleep.exists() and lines.exists() and len(lines_of(lines)) == 3):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert printed.splitlines()[0].startswith("3 frames, ")
    assert len(lines_of(lines)) == 3


def test_statistics_show_on_a_terminal(long_video: Path) -> None:
    termios = pytest.importorskip("termios")
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 200))
    command = [sys.executable, "-c", "from fastsam_trt.cli.main import entry; entry()"]
    line = re.compile(rb"[\d.]+ FPS, age \d+/\d+ ms, dropped 0, crops [\d.]+, queues \d/\d/\d")
    shown = b""
    with subprocess.Popen(
        [*command, "run", "--video", long_video, "--model", "colours"], stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        while not line.search(shown):
            shown += os.read(ours, 1000)  # raises if the process ended without it
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    os.close(ours)
    assert process.returncode == 130


def test_an_overlay_is_drawn_once_for_all_sinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Result] = []
    monkeypatch.setattr(
        shared_overlay, "plot_next", lambda result, *rest: drawn.append(result) or plot_next(result, *rest)
    )
    overlay = shared_overlay.Overlay()
    results = [made_result([np.ones((60, 80), bool)]) for _ in range(3)]
    with VideoSink(tmp_path / "a.mp4", 25, overlay) as one, VideoSink(tmp_path / "b.mp4", 25, overlay) as two:
        for result in results:
            one.write(Frame(result.frame, 0, "made"), result)
            two.write(Frame(result.frame, 0, "made"), result)
    assert drawn == results


def test_the_preview_of_a_run_changes_its_prompts(tmp_path: Path, write_video: Write) -> None:
    pytest.importorskip("aiohttp")
    video = write_video(tmp_path / "both.avi", [scene(("red", 1, 1), ("green", 5, 5))] * 2000)
    lines = tmp_path / "out.jsonl"
    arguments = ("run", "--video", video, "--model", "colours", "--prompt", "red", "--policy", "latest")
    with start("", *arguments, "--json", lines, "--preview", "0") as process:
        while "preview at " not in (line := present(process.stderr).readline()):
            assert line, "it ended without a preview"
        url = line.split("preview at ")[1].strip()
        wait_for(lines, 2000)
        assert b"<html" in urllib.request.urlopen(url, timeout=60).read()
        body = json.dumps({"prompts": ["green"]}).encode()
        request = urllib.request.Request(f"{url}prompts", body, {"Content-Type": "application/json"})
        assert json.load(urllib.request.urlopen(request, timeout=60))["prompts"] == ["green"]
        wait_for(lines, lines.stat().st_size + 5000)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    prompts = [segment["prompt"] for record in lines_of(lines) for segment in record["segments"]]
    assert prompts[0] == "red"
    assert prompts[-1] == "green"
    assert prompts == sorted(prompts, reverse=True)  # one change, and none back


def test_a_preview_on_a_port_in_use_is_refused(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("aiohttp")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["run", "--video", str(video), "--model", "no-such-model", "--preview", str(port)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"127.0.0.1:{port} in use" in line


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg here")
@pytest.mark.parametrize("ending", ["stopped", "over"])
def test_the_end_of_a_live_source_is_no_error(tmp_path: Path, ending: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    seconds = 60 if ending == "stopped" else 3
    command = ["ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", f"testsrc=duration={seconds}:size=320x240:rate=25",
               "-g", "5", "-f", "mpegts", f"tcp://127.0.0.1:{port}?listen=1"]  # fmt: skip
    lines, stats = tmp_path / "out.jsonl", tmp_path / "stats.json"
    with subprocess.Popen(command) as stream:
        time.sleep(1)
        arguments = ("run", "--video", f"tcp://127.0.0.1:{port}", "--model", "colours", "--reconnect", 0)
        with start("", *arguments, "--json", lines, "--stats", stats) as process:
            if ending == "stopped":
                deadline = time.monotonic() + 60
                while time.monotonic() < deadline and (not lines.exists() or lines.read_bytes().count(b"\n") < 10):
                    time.sleep(0.02)
                process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
        stream.terminate()
    assert process.returncode == 0, errors
    found = json.loads(stats.read_text())
    assert found["policy"] == "latest"
    assert found["interrupted"] == (ending == "stopped")
    assert found["frames"] == len(lines_of(lines)) > 1
    assert found["captured"] == found["frames"] + found["dropped"]
