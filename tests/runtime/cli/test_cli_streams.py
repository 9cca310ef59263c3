"""Test outputs to stdout and pipes, and standard streams that are closed or limited to few characters."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastsam_engine.store.atomic_files import part_path, write_atomically
from fastsam_trt.errors import OutputUnreadError
from fastsam_trt.sinks import JsonLinesSink
from fastsam_trt.sources import Frame
from support.colour_models import scene
from support.made_results import made_result

Write = Callable[[Path, list[np.ndarray]], Path]
COMMAND = [sys.executable, "-m", "fastsam_trt"]
RESULT = made_result([np.ones((60, 80), bool)])
FRAME = Frame(RESULT.frame, 0, "made")


@pytest.fixture
def video(tmp_path: Path, write_video: Write) -> Path:
    return write_video(tmp_path / "clip.avi", [scene(("red", 1, 1))] * 25)


def _run(source: Path, *arguments: object) -> list[str]:
    return [*COMMAND, "run", "--video", str(source), "--model", "colours", *map(str, arguments)]


def _by_shell(command: list[str], before: str, redirections: str = "") -> list[str]:
    return ["sh", "-c", f'{before}exec "$@" {redirections}', "sh", *command]


def _do(source: Path, *arguments: object, **given: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(_run(source, *arguments), capture_output=True, check=False, **given)


def _wait_for_lines(path: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not path.exists() or not path.stat().st_size):
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_json_lines_have_stdout_to_themselves(video: Path, name: str) -> None:
    done = _do(video, "--prompt", "red", "--json", name)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["frame"] for line in done.stdout.splitlines()] == list(range(25))
    assert b"25 frames, 25 selected segments" in done.stderr


def test_json_lines_are_appended_to_the_file_behind_stdout(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"before": true}\n')
    with path.open("a") as file:
        subprocess.run(_run(video, "--json", "-"), stdout=file, stderr=subprocess.DEVNULL, check=True)
    first, *lines = map(json.loads, path.read_text().splitlines())
    assert first == {"before": True}
    assert len(lines) == 25


@pytest.mark.parametrize("flag", ["--coco", "--stats"])
def test_documents_can_go_to_stdout(video: Path, flag: str) -> None:
    done = _do(video, "--prompt", "red", flag, "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert Path("/dev/stdout").is_symlink()


@pytest.mark.parametrize("flag", ["--json", "--coco", "--stats"])
def test_shell_pipes_can_be_outputs(video: Path, tmp_path: Path, flag: str) -> None:
    pipe, read = tmp_path / "pipe.json", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    done = _do(video, "--prompt", "red", flag, pipe)
    reader.join(timeout=60)
    assert done.returncode == 0, done.stderr
    assert read[0]
    documents = read[0].splitlines() if flag == "--json" else [read[0]]
    assert all(map(json.loads, documents))
    assert pipe.is_fifo()


def test_a_closed_pipe_is_a_one_line_error(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: pipe.open("rb").close())
    reader.start()
    with JsonLinesSink(pipe) as sink, pytest.raises(OutputUnreadError, match="found it closed after frame"):
        for _ in range(1000):
            sink.write(FRAME, RESULT)
            reader.join()


def test_a_reader_that_closes_stdout_ends_the_run_silently(long_video: Path, tmp_path: Path) -> None:
    stats = tmp_path / "stats.json"
    process = subprocess.Popen(
        _run(long_video, "--json", "-", "--stats", stats), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["frame"] == 0
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    assert json.loads(stats.read_text())["frames"] < 3000


def test_the_target_of_a_link_is_replaced_and_the_link_kept(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to("real/out.json")
    write_atomically(link, b"[]")
    assert link.is_symlink()
    assert (tmp_path / "real" / "out.json").read_bytes() == b"[]"
    assert not list(tmp_path.glob("**/*.part"))


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_terminal_without_a_character_shows_an_escape(tmp_path: Path, encoding: str) -> None:
    photo = tmp_path / "東京.png"
    photo.write_bytes(cv2.imencode(".png", scene(("red", 1, 1)))[1].tobytes())
    done = _do(photo, "--prompt", "red", env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    name = "東京" if encoding == "utf-8" else "\\u6771\\u4eac"
    assert f"{name}.png: 1 of 1 segments" in done.stdout.decode(encoding)


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_do_not_write_into_files(video: Path, tmp_path: Path, closed: str) -> None:
    lines = tmp_path / "out.jsonl"
    command = _by_shell(_run(video, "--prompt", "red", "--json", lines), "", closed)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert len([json.loads(line) for line in lines.read_text().splitlines()]) == 25
    assert (b"25 frames" in out) == ("1>&-" not in closed)
    assert b"25 frames" not in err


@pytest.mark.parametrize("times", [1, 2])
def test_a_hangup_ends_a_run_with_whole_files(long_video: Path, tmp_path: Path, times: int) -> None:
    lines, stats = tmp_path / "out.jsonl", tmp_path / "stats.json"
    process = subprocess.Popen(
        _run(long_video, "--prompt", "red", "--json", lines, "--stats", stats),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    _wait_for_lines(lines)
    for _ in range(times):
        process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 129
    frames = [json.loads(line)["frame"] for line in lines.read_text().splitlines()]
    assert 0 < len(frames) < 3000
    found = json.loads(stats.read_text())
    assert (found["interrupted"], found["frames"]) == (True, len(frames))


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_an_ignored_signal_stays_ignored(long_video: Path, tmp_path: Path, number: int) -> None:
    lines = tmp_path / "out.jsonl"
    command = _by_shell(_run(long_video, "--prompt", "red", "--json", lines), f"trap '' {number}; ")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for_lines(lines)
    process.send_signal(number)
    before = lines.stat().st_size
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and lines.stat().st_size < before + 20_000:
        time.sleep(0.05)
    assert process.poll() is None
    process.terminate()
    assert process.wait(timeout=60) == 143


def test_a_closed_terminal_ends_a_run_with_whole_files(long_video: Path, tmp_path: Path) -> None:
    lines, stats = tmp_path / "out.jsonl", tmp_path / "stats.json"
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, _run(long_video, "--prompt", "red", "--json", lines, "--stats", stats))
    _wait_for_lines(lines)
    os.close(terminal)  # the kernel sends SIGHUP, and later prints fail
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    found = json.loads(stats.read_text())
    assert (found["interrupted"], found["error"]) == (True, None)
    assert found["frames"] == len([json.loads(line) for line in lines.read_text().splitlines()])


def test_a_run_that_ignores_hangups_survives_its_terminal(video: Path, tmp_path: Path) -> None:
    lines = tmp_path / "out.jsonl"
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.execv(sys.executable, _run(video, "--prompt", "red", "--json", lines, "--policy", "latest"))
    _wait_for_lines(lines)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert json.loads(lines.read_text().splitlines()[-1])["frame"] == 24


@pytest.mark.parametrize("flag", ["--coco", "--coco-dataset", "--stats"])
def test_documents_are_appended_to_the_file_behind_a_descriptor(video: Path, tmp_path: Path, flag: str) -> None:
    log = tmp_path / "log"
    for name, redirection in (("-", ">>"), ("/dev/fd/3", "3>>")):
        log.write_text("before\n")
        command = _by_shell(_run(video, flag, name), "", f"{redirection} {log}")
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
        before, _, document = log.read_text().partition("\n")
        assert before == "before"
        assert json.loads(document)


def test_a_socket_can_be_an_output(tmp_path: Path) -> None:
    """A socket, which a service's stdout often is, can't be opened again."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        write_atomically(Path(f"/dev/fd/{theirs.fileno()}"), b"[]")
        assert ours.recv(10) == b"[]"


def test_a_long_name_is_written_beside_its_target(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250 + ".json")
    write_atomically(path, b"[]")
    assert path.read_bytes() == b"[]"
    assert not list(tmp_path.glob(".*.part"))
    others = {part_path(tmp_path / ("x" * 250 + f".{number}")) for number in range(2)}
    assert len(others) == 2


def test_a_comparison_can_go_to_stdout(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), scene(("red", 1, 1)))
    request = ["--image", str(photo), "--prompt", "red", "--model", "colours", "--repeat", "1"]
    save = tmp_path / "sheet.png"
    done = subprocess.run(
        [*COMMAND, "compare", *request, "--json", "-", "--save", str(save)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["models"][0]["model"] == "colours"
    assert b"segments" in done.stderr
    assert f"saved {save}".encode() in done.stderr
