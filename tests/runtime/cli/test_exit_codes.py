"""Test that a signal ends each command with the code of that signal, whatever the command is doing."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from support.colour_models import scene
from support.live_senders import Server, free_port
from support.started_command import DEADLOCK, STUCK, start, wait_for
from support.typed import present

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no signals to other processes here")

TERM, INT = signal.SIGTERM, signal.SIGINT
CODES = {TERM: 143, INT: 130}

COMPILING = f"{STUCK}\nimport openvino; after(openvino.Core, 'compile_model', 0"
"""OpenVINO compiles for longer than any test."""

UNINTERRUPTIBLE = """
from fastsam_trt.cli import signal_watch
signal_watch._STUCK_S = signal_watch._EXIT_S = 0.3
"""
"""The times after which a library call ends the process are short."""


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.fixture
def ended() -> Iterator[threading.Event]:
    """Set at the end of the test; servers that send nothing more wait for it."""
    event = threading.Event()
    yield event
    event.set()


def _signal(process: subprocess.Popen[str], number: int) -> tuple[str, str]:
    """Send a signal, and check how the process ended."""
    process.send_signal(number)
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == CODES[signal.Signals(number)], errors
    assert "Traceback" not in errors
    assert "KeyboardInterrupt" not in errors
    return printed, errors


@pytest.mark.parametrize("number", [TERM, INT])
def test_during_the_compilation_for_a_frame(number: int, photo: Path, marker: Path) -> None:
    pytest.importorskip("openvino")
    code = f"{COMPILING}, {str(marker)!r})\nfrom fastsam_trt.cli import source_run; source_run._STOP_WITHIN_S = 0.2"
    arguments = ("run", "--video", photo, "--model", "colours", "--backend", "openvino")
    with start(code, *arguments) as run:
        wait_for(marker)
        _signal(run, number)


@pytest.mark.parametrize("command", ["build", "compare"])
def test_during_a_compilation_on_the_main_thread(command: str, photo: Path, marker: Path) -> None:
    pytest.importorskip("openvino")
    what = {"build": ("colours",), "compare": ("--image", photo, "--prompt", "red", "--model", "colours")}[command]
    with start(f"{COMPILING}, {str(marker)!r})", command, *what, "--backend", "openvino") as run:
        wait_for(marker)
        _, errors = _signal(run, TERM)
    said = "fastsam-trt: interrupted: the build of colours.onnx was stopped, and nothing of it is kept"
    assert [line for line in errors.splitlines() if "INFO" not in line] == ([said] if command == "build" else [])


def test_one_signal_ends_a_library_call_that_does_not_return(photo: Path, marker: Path) -> None:
    code = f"""{DEADLOCK}{UNINTERRUPTIBLE}
import fastsam_trt.comparison as at
at.compare = lambda *_, **__: forever({str(marker)!r})
"""
    with start(code, "compare", "--image", photo, "--prompt", "red", "--model", "colours") as run:
        wait_for(marker)
        _signal(run, TERM)


def test_while_an_address_does_not_answer(ended: threading.Event) -> None:
    connected = threading.Event()

    def send_nothing(_connection: socket.socket, _number: int) -> None:
        connected.set()
        ended.wait()

    with Server(send_nothing) as server:
        with start("", "run", "--video", f"tcp://127.0.0.1:{server.port}", "--model", "colours") as run:
            connected.wait()
            _signal(run, TERM)
        ended.set()


@pytest.mark.parametrize(("stalls", "number"), [(True, TERM), (True, INT), (False, TERM)])
def test_a_live_source_ends_in_order_unless_it_is_lost(
    stalls: bool, number: int, tmp_path: Path, ended: threading.Event
) -> None:
    picture = cv2.imencode(".jpg", scene(("red", 1, 1)))[1].tobytes()
    part = b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture) + picture + b"\r\n"

    def send(connection: socket.socket, connection_number: int) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n")
        while not ended.wait(0.02):
            connection.sendall(part)
            if stalls and (connection_number or lines.exists()):
                ended.wait()

    lines = tmp_path / "out.jsonl"
    with Server(send) as server:
        address = f"http://127.0.0.1:{server.port}/video.mjpg"
        arguments = ("run", "--video", address, "--model", "colours", "--json", lines, "--stall", "0.5")
        with start("", *arguments) as run:
            wait_for(lines, 1)
            if stalls:
                while "is lost" not in (line := present(run.stderr).readline()):
                    assert line, "it ended before the loss"
            run.send_signal(number)
            _, errors = run.communicate(timeout=120)
        ended.set()
    assert run.returncode == (CODES[signal.Signals(number)] if stalls else 0), errors


@pytest.mark.parametrize("number", [TERM, INT])
def test_during_a_benchmark(number: int, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    out = tmp_path / "bench"
    arguments = ("bench", "--model", "colours", "--backend", "onnxruntime", "--scenario", "single", "--sizes", "64x64")
    with start("", *arguments, "--crops", "0", "--seconds", "60", "--out", out) as run:
        wait_for(out / "results.jsonl", 1)
        printed, _ = _signal(run, number)
    assert f"saved {out / 'report.md'}" in printed


@pytest.mark.parametrize("number", [TERM, INT])
def test_during_an_export(number: int, marker: Path, home: Path) -> None:
    code = f"{STUCK}\nimport fastsam_export as at; after(at, 'export_model', 0, {str(marker)!r})"
    with start(code, "export", "yolov8n-seg") as run:
        wait_for(marker)
        _signal(run, number)
    assert not list((home / "models").glob(".*"))


def test_a_server_that_refuses_ends_a_run_with_1() -> None:
    with start("", "run", "--video", f"rtsp://127.0.0.1:{free_port()}/x", "--model", "colours") as run:
        _, errors = run.communicate(timeout=120)
    assert run.returncode == 1
    (line,) = errors.splitlines()
    assert "found a connection refused by" in line
