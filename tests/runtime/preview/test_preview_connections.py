"""Test that the preview limits the number and duration of connections, whatever clients do."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fastsam_trt.preview import changes, server
from fastsam_trt.web import connections
from fastsam_trt.web.connections import ConnectionLimits
from support.preview_run import Run, change_prompts, clients, raw_client, send_request, serving
from support.typed import present
from support.waiting import until

_MOST = ConnectionLimits().most
_GET = b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def run() -> Iterator[Run]:
    with serving() as made:
        yield made


def _connect(run: Run, data: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", run.server.address.port), timeout=60)
    client.sendall(data)
    return client


def _receive_all(client: socket.socket) -> bytes:
    """Receive until the server ends the connection."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(1 << 16):
            data += part
    return data


def _limit(run: Run, **limits: Any) -> None:
    """Change limits of a server that runs."""
    run.app._connections.limits = replace(run.app._connections.limits, **limits)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_connections_with_unfinished_headers_are_limited_and_replaced(run: Run) -> None:
    before = _descriptors()
    with contextlib.ExitStack() as stack:
        for _ in range(4 * _MOST):
            stack.enter_context(contextlib.closing(_connect(run, b"GET / HTTP/1.1\r\nHost: 127.0")))
        assert until(
            lambda: _descriptors() - before <= 5 * _MOST + 2
        )  # our ends, and at most a quarter as many on the server
        assert send_request(run)[0] == 200
        assert _descriptors() - before <= 5 * _MOST + 2


def test_connections_wait_to_be_accepted_while_the_process_is_busy() -> None:
    run = Run()
    with contextlib.ExitStack() as stack:
        for _ in range(4 * _MOST):  # not accepted yet
            address = ("127.0.0.1", run.server.address.port)
            stack.enter_context(contextlib.closing(socket.create_connection(address, timeout=0.5)))
        with run.server:
            assert send_request(run)[0] == 200


@pytest.mark.parametrize("sent", [b"", b"G", _GET, b"POST /prompts HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_an_unfinished_request_is_dropped(run: Run, sent: bytes) -> None:
    _limit(run, request_within_s=0.2)
    with contextlib.closing(_connect(run, sent)) as client:
        assert _receive_all(client) == b""


def test_a_slow_sender_is_dropped(run: Run) -> None:
    _limit(run, request_within_s=0.3)
    with contextlib.closing(_connect(run, _GET)) as client, pytest.raises(OSError, match=r"(?i)reset|broken"):
        for _ in range(1000):
            client.sendall(b"X")
            time.sleep(0.02)


def test_connections_are_not_kept_alive_for_long(run: Run) -> None:
    _limit(run, answer_within_s=0.2)
    with contextlib.closing(_connect(run, _GET + b"\r\n")) as client:
        assert _receive_all(client).startswith(b"HTTP/1.1 200")


def test_a_client_that_does_not_read_responses_is_dropped(run: Run) -> None:
    _limit(run, answer_within_s=0.5)
    client = socket.socket()
    client.settimeout(20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", run.server.address.port))
    with contextlib.closing(client), contextlib.suppress(ConnectionError, TimeoutError):
        for _ in range(2000):
            client.sendall((_GET + b"\r\n") * 100)  # megabytes of responses
        pytest.fail("it was served without a limit")


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 900\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", b"Content-Length: 1\r\n\r\n"],
)
def test_an_unfinished_body_is_answered(run: Run, framing: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "BODY_WITHIN_S", 0.2)
    head = b"POST /prompts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with contextlib.closing(_connect(run, head + framing)) as client:
        assert client.recv(100).startswith(b"HTTP/1.1 408")
    assert run.requested == []


def test_invalid_requests_get_an_answer_and_no_traceback(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    json_head = b"POST /prompts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    for request, code in (
        (b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"200"),
        (b"OPTIONS / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"405"),
        (b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", b"200"),
        (b"GET / HTTP/1.0\r\n\r\n", b"403"),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS\r\n\r\n", b"400"),
        (json_head + b"Content-Length: 99999999999\r\n\r\n" + b"x" * 20_000, b"413"),
        (json_head + b"Content-Length: -1\r\n\r\n", b"400"),
        (json_head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (json_head + b'Transfer-Encoding: chunked\r\n\r\ne\r\n{"prompts": []\r\n1\r\n}\r\n0\r\n\r\n', b"200"),
    ):
        with contextlib.closing(_connect(run, request)) as client:
            status, _, rest = _receive_all(client).partition(b"\r\n")
            assert status.split()[1:2] == [code], (request[:60], status)
            assert request[:4] != b"HEAD" or rest.endswith(b"\r\n\r\n")
    assert run.requested == [()]
    assert caplog.records == []


def test_pipelined_requests_are_answered_in_order(run: Run) -> None:
    last = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with contextlib.closing(_connect(run, (_GET + b"\r\n") * 20 + last)) as client:
        answers = _receive_all(client)
    assert answers.count(b"HTTP/1.1 200") == 20
    assert answers.rindex(b"HTTP/1.1 404") > answers.rindex(b"HTTP/1.1 200")


def _has(run: Run, count: int) -> bool:
    return len(clients(run)) == count


def test_connections_in_use_are_kept_and_the_next_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SETTINGS", replace(server._SETTINGS, limits=ConnectionLimits(most=3)))
    with serving() as small, contextlib.ExitStack() as stack:
        for number in range(3):
            stack.enter_context(contextlib.closing(raw_client(small)))
            assert until(partial(_has, small, number + 1))
        with contextlib.closing(_connect(small)) as client:
            assert _receive_all(client).startswith(b"HTTP/1.1 503")
        assert len(clients(small)) == 3


def test_a_process_without_free_descriptors_retries_slowly(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried, real = [], socket.socket.accept
    exhausted = threading.Event()
    exhausted.set()

    def accept(listening: socket.socket) -> tuple[socket.socket, object]:
        tried.append(time.monotonic())
        if exhausted.is_set():
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(listening)

    with contextlib.closing(_connect(run)) as idle:
        assert until(lambda: len(run.app._connections) == 1)
        monkeypatch.setattr(socket.socket, "accept", accept)
        monkeypatch.setattr(connections, "_RETRY_S", 0.1)
        with contextlib.closing(_connect(run, _GET + b"Connection: close\r\n\r\n")) as client:
            assert _receive_all(idle) == b""  # it was ended to free its descriptor
            assert until(lambda: len(tried) >= 3)
            assert len(tried) < 20
            exhausted.clear()
            assert _receive_all(client).startswith(b"HTTP/1.1 200")
    assert [record.message for record in caplog.records] == [
        "the preview can't accept a connection (Too many open files); it keeps trying"
    ]


def test_closing_does_not_wait_for_a_change_and_answers_its_client() -> None:
    run, begun, go_on = Run(), threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go_on.wait(60)

    answers: list[tuple[int, dict]] = []
    run.hold = hold
    with run.server:
        changing = [
            threading.Thread(target=lambda: answers.append(change_prompts(run, {"prompts": ["dog"]}))) for _ in range(2)
        ]
        for each in changing:
            each.start()
        assert begun.wait(60)
        assert until(lambda: run.app.changes.waiting == 2)
        run.server.close()
        assert not go_on.is_set()  # still running
    for each in changing:
        each.join(60)
    assert [(code, answer["error"]) for code, answer in answers] == [(503, "the run has ended")] * 2
    go_on.set()
    assert until(lambda: not [each for each in threading.enumerate() if each.name.startswith("preview")])


def test_the_number_of_waiting_changes_is_limited(run: Run) -> None:
    go_on = threading.Event()
    run.hold = lambda: go_on.wait(60)
    codes: list[int] = []
    changing = [
        threading.Thread(target=lambda: codes.append(change_prompts(run, {"prompts": ["dog"]})[0]))
        for _ in range(changes.MOST_CHANGES)
    ]
    for each in changing:
        each.start()
    assert until(lambda: run.app.changes.waiting == changes.MOST_CHANGES)
    assert change_prompts(run, {"prompts": ["dog"]})[0] == 503
    go_on.set()
    for each in changing:
        each.join(60)
    assert codes == [200] * changes.MOST_CHANGES


def test_a_server_closed_before_its_start_ends() -> None:
    """An interrupt can close it while it starts."""
    run = Run()
    run.server.close()
    run.server.start()
    present(run.server._thread._thread).join(60)
    assert not [each for each in threading.enumerate() if each.name.startswith("preview")]
