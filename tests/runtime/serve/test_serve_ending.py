"""The server starts before its models, and finishes what is under way when it ends."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fastsam_trt import Pipeline
from fastsam_trt.cli.main import main
from fastsam_trt.serve import Address, Limits, SegmentServer
from support.live_senders import free_port
from support.served import BOUNDARY, PHOTO, TOKEN, HeldPipeline, Served, colours, form, serving
from support.started_command import start
from support.waiting import until


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    with colours() as opened:
        yield opened


def test_until_the_models_are_open_it_lives_and_is_not_ready(pipeline: Pipeline) -> None:
    with serving(None) as served:
        assert served.get("/healthz").status == 200
        for reply in (served.get("/readyz"), served.get("/v1/model"), served.segment()):
            assert reply.status == 503
            assert int(reply.headers["Retry-After"]) >= 1
            assert "the models are being opened" in reply.detail
        served.server.use(pipeline)
        assert served.get("/readyz").status == 200
        assert served.segment().status == 200


def test_requests_under_way_are_answered_and_new_ones_are_refused(pipeline: Pipeline) -> None:
    held = HeldPipeline(pipeline)
    body = form(PHOTO)[0]
    head = f"POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    with ThreadPoolExecutor(4) as pool, serving(held, workers=1) as served:
        worked_on = pool.submit(served.segment)
        assert held.begun.acquire(timeout=60)
        waiting = pool.submit(served.segment)
        assert until(lambda: served.metric("fastsam_trt_requests_in_flight") == 2)
        half = served.connect(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:500])
        assert until(lambda: served.metric("fastsam_trt_body_bytes") == 2 * len(body) + 500)
        idle = http.client.HTTPConnection("127.0.0.1", served.port)
        idle.request("GET", "/healthz")
        idle.getresponse().read()
        closing = pool.submit(served.server.close)
        assert until(lambda: not _accepts(served.port))
        assert not closing.done()
        half.sendall(body[500:])
        held.go_on.set()
        assert worked_on.result().status == 200
        assert waiting.result().status == 200
        assert half.recv(100).startswith(b"HTTP/1.1 200")
        closing.result()
        half.close()
        idle.close()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except OSError:
        return False
    return True


def test_a_request_that_hangs_does_not_hold_up_the_end(pipeline: Pipeline) -> None:
    held = HeldPipeline(pipeline)
    with ThreadPoolExecutor(1) as pool, serving(held, limits=Limits(timeout_s=0.5), workers=1) as served:
        reply = pool.submit(served.segment)
        assert held.begun.acquire(timeout=60)
        served.server.close()
        assert reply.result().status == 503
        held.go_on.set()
        assert until(lambda: not [each for each in threading.enumerate() if each.name == "serve worker"])


def test_stop_may_be_called_before_and_after_and_wait_returns() -> None:
    server = SegmentServer(Address("127.0.0.1", 0))
    server.stop()
    server.start()
    server.wait()
    server.close()
    server.close()


def test_what_the_server_fails_with_is_raised_to_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastsam_trt.serve.web_app.WebApp.close", _fail)
    server = SegmentServer(Address("127.0.0.1", 0))
    server.start()
    server.stop()
    with pytest.raises(RuntimeError, match="no end"):
        server.wait()
    server.close()


async def _fail(_: object) -> None:
    raise RuntimeError("no end")


@contextlib.contextmanager
def _command(*arguments: object, code: str = "") -> Iterator[tuple[subprocess.Popen[str], Served, list[str]]]:
    """The command, once it serves."""
    process = start(code, "serve", "--model", "colours", "--backend", "onnxruntime", "--port", 0, *arguments)
    lines: list[str] = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if line.startswith("serving "):
                break
        found = re.fullmatch(r"serving colours at http://127\.0\.0\.1:(\d+)/\n", lines[-1])
        assert found is not None, lines
        server = SegmentServer(Address("127.0.0.1", 0))
        served = Served(server)
        server.close()
        served.port = int(found[1])
        yield process, served, lines
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_with_0_after_a_signal(number: signal.Signals) -> None:
    with _command() as (process, served, _):
        assert len(served.segment().json()["segments"]) == 2
        process.send_signal(number)
        assert process.wait(120) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_the_command_answers_what_is_under_way_and_a_second_signal_ends_it(tmp_path: Path) -> None:
    code = (
        "import pathlib, time\nfrom fastsam_trt import Pipeline\nreal = Pipeline.process\n"
        "def slow(self, frame, **call):\n"
        f"    pathlib.Path({str(tmp_path / 'begun')!r}).touch()\n"
        f"    while not pathlib.Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.01)\n"
        "    return real(self, frame, **call)\n"
        "import fastsam_trt.cli.serve\n"
        "warm = fastsam_trt.cli.serve._open_pipeline\n"
        "def opened(args):\n    pipeline = warm(args)\n    Pipeline.process = slow\n    return pipeline\n"
        "fastsam_trt.cli.serve._open_pipeline = opened\n"
    )
    with _command("--timeout", 300, code=code) as (process, served, _), ThreadPoolExecutor(1) as pool:
        reply = pool.submit(served.segment)
        assert until((tmp_path / "begun").exists)
        process.send_signal(signal.SIGTERM)
        assert until(lambda: not _accepts(served.port))
        assert process.poll() is None
        (tmp_path / "go").touch()
        assert reply.result().status == 200
        assert process.wait(120) == 0
    (tmp_path / "go").unlink()
    (tmp_path / "begun").unlink()
    with _command("--timeout", 300, code=code) as (process, served, _), ThreadPoolExecutor(1) as pool:
        lost = pool.submit(_lost, served)
        assert until((tmp_path / "begun").exists)
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)  # two of one kind at once would count as one
        assert process.wait(120) == 143
        assert lost.result()


def _lost(served: Served) -> bool:
    try:
        served.segment()
    except (OSError, http.client.HTTPException):
        return True
    return False


def test_the_token_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    with _command("--token-file", file) as (_, served, _):
        assert served.segment().status == 401
        assert served.post(form(PHOTO), Authorization=f"Bearer {TOKEN}").status == 200
    monkeypatch.setenv("FASTSAM_TRT_TOKEN", TOKEN)
    with _command("--log-requests") as (process, served, _):
        assert served.get("/metrics").status == 401
        assert process.stderr is not None
        assert re.search(r'127\.0\.0\.1 "GET /metrics HTTP/1\.1" 401 \d+ bytes', process.stderr.readline())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "expected a token, since other machines can reach 0.0.0.0"),
        (["--token", "short"], "token: expected 16 or more letters"),
        (["--token", TOKEN, "--token-file", "x"], "token: expected a token or a file of one, found 'both'"),
        (["--token-file", "nowhere"], "token_file: expected a text file with the token, found 'nowhere: No such file"),
        (["--token-file", "."], "Is a directory"),
        (["--port", "65536"], "port: expected a number from 0 to 65535, found 65536"),
        (["--workers", "0"], "workers: expected a whole number of 1 or more, found 0"),
        (["--queue", "0"], "queue: expected a whole number of 1 or more, found 0"),
        (["--timeout", "nan"], "timeout_s: expected seconds, more than 0"),
        (["--max-body-mb", "0"], "max_body_mb: expected a number above 0"),
        (["--max-megapixels", "inf"], "max_megapixels: expected a number above 0"),
        (["--cors-origin", "example.com"], "cors_origin: expected an origin such as https://example.com"),
        (["--host", "192.0.2.1", "--without-token"], "expected an address of this machine, found 192.0.2.1"),
        (["--conf", "2"], "conf"),
    ],
)
def test_options_that_can_not_be_used_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["serve", "--model", "colours", "--backend", "onnxruntime", *arguments]
    assert main([*given, *([] if "--port" in arguments else ["--port", "0"])]) == 2
    printed = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(printed) == 1
    assert message in printed[0]


def test_a_missing_model_is_found_before_anything_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert main(["serve", "--model", "yolov8n-seg", "--port", str(port)]) == 2
    assert "no model 'yolov8n-seg'" in capsys.readouterr().err
    assert not _accepts(port)
