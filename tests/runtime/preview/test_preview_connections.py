"""The preview's connections: bounded in number and time, whatever clients do, and never the run's."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastsam_trt.preview import connections, server, site
from fastsam_trt.preview.background import Background
from fastsam_trt.preview.connections import Connections
from support.preview_run import Run, ask, change, raw_watcher, serving, wait_until, watchers

_GET = b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def run() -> Iterator[Run]:
    with serving() as made:
        yield made


def _connect(run: Run, data: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", run.server.address.port), timeout=20)
    client.sendall(data)
    return client


def _rest(client: socket.socket) -> bytes:
    """What comes until the server ends the connection."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(1 << 16):
            data += part
    return data


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_connections_that_end_no_headers_are_bounded_and_make_way(run: Run) -> None:
    before = _descriptors()
    with contextlib.ExitStack() as stack:
        for _ in range(4 * connections.MOST):
            stack.enter_context(contextlib.closing(_connect(run, b"GET / HTTP/1.1\r\nHost: 127.0")))
        wait_until(lambda: _descriptors() - before <= 5 * connections.MOST + 2)  # ours, and at most a quarter of them
        assert ask(run)[0] == 200
        assert _descriptors() - before <= 5 * connections.MOST + 2


def test_connections_that_come_while_the_process_is_busy_wait_to_be_taken() -> None:
    run = Run()
    with contextlib.ExitStack() as stack:
        for _ in range(4 * connections.MOST):  # nobody takes them yet
            address = ("127.0.0.1", run.server.address.port)
            stack.enter_context(contextlib.closing(socket.create_connection(address, timeout=0.5)))
        with run.server:
            assert ask(run)[0] == 200


@pytest.mark.parametrize("sent", [b"", b"G", _GET, b"POST /prompts HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_a_request_that_does_not_end_is_dropped(run: Run, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_WITHIN_S", 0.2)
    with contextlib.closing(_connect(run, sent)) as client:
        assert _rest(client) == b""


def test_a_byte_now_and_then_keeps_no_connection(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_WITHIN_S", 0.3)
    with contextlib.closing(_connect(run, _GET)) as client, pytest.raises(OSError, match=r"(?i)reset|broken"):
        for _ in range(1000):
            client.sendall(b"X")
            time.sleep(0.02)


def test_connections_are_not_kept_alive_for_long(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "ANSWER_WITHIN_S", 0.2)
    with contextlib.closing(_connect(run, _GET + b"\r\n")) as client:
        assert _rest(client).startswith(b"HTTP/1.1 200")


def test_who_does_not_read_its_answers_is_dropped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "ANSWER_WITHIN_S", 0.5)
    client = socket.socket()
    client.settimeout(20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", run.server.address.port))
    with contextlib.closing(client), contextlib.suppress(ConnectionError, TimeoutError):
        for _ in range(2000):
            client.sendall((_GET + b"\r\n") * 100)  # megabytes of answers
        pytest.fail("it was served without an end")


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 900\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", b"Content-Length: 1\r\n\r\n"],
)
def test_a_body_that_does_not_end_is_answered(run: Run, framing: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "BODY_WITHIN_S", 0.2)
    monkeypatch.setattr(server, "_LINGER_S", 0.2)
    head = b"POST /prompts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with contextlib.closing(_connect(run, head + framing)) as client:
        assert client.recv(100).startswith(b"HTTP/1.1 408")
    assert run.asked == []


def test_what_is_no_request_for_us_has_an_answer_and_no_traceback(run: Run, caplog: pytest.LogCaptureFixture) -> None:
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
            status, _, rest = _rest(client).partition(b"\r\n")
            assert status.split()[1:2] == [code], (request[:60], status)
            assert request[:4] != b"HEAD" or rest.endswith(b"\r\n\r\n")
    assert run.asked == [()]
    assert caplog.records == []


def test_requests_in_a_row_are_answered_in_their_order(run: Run) -> None:
    last = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with contextlib.closing(_connect(run, (_GET + b"\r\n") * 20 + last)) as client:
        answers = _rest(client)
    assert answers.count(b"HTTP/1.1 200") == 20
    assert answers.rindex(b"HTTP/1.1 404") > answers.rindex(b"HTTP/1.1 200")


def test_connections_in_use_are_kept_and_the_next_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 3)
    with serving() as small, contextlib.ExitStack() as stack:
        for number in range(3):
            stack.enter_context(contextlib.closing(raw_watcher(small)))
            wait_until(lambda number=number: len(watchers(small)) == number + 1)
        with contextlib.closing(_connect(small)) as client:
            assert _rest(client).startswith(b"HTTP/1.1 503")
        assert len(watchers(small)) == 3


def test_another_machine_has_a_share_of_its_own() -> None:
    async def connect() -> tuple[int, int]:
        held = Connections()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            accepting = asyncio.create_task(held.accept(listening, asyncio.Protocol))
            clients = [socket.create_connection(listening.getsockname()) for _ in range(4)]
            while len(held) < 4:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.001)
            for each in held._open.values():
                each.host = "192.0.2.7"
            assert held._make_room("192.0.2.7")
            await asyncio.sleep(0.01)
            theirs = len(held)
            assert held._make_room("192.0.2.8")
            assert held._make_room("::ffff:127.0.0.1")
            await asyncio.sleep(0.01)
            accepting.cancel()
            for each in (*clients, *(each.socket for each in held._open.values())):
                each.close()
            return theirs, len(held)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "MOST_OF_ONE", 4)
        assert asyncio.run(connect())[0] == 3  # its oldest made way


def test_a_process_without_descriptors_goes_on_and_does_not_spin(
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
        wait_until(lambda: len(run.server._site._connections) == 1)
        monkeypatch.setattr(socket.socket, "accept", accept)
        monkeypatch.setattr(connections, "_RETRY_S", 0.1)
        with contextlib.closing(_connect(run, _GET + b"Connection: close\r\n\r\n")) as client:
            assert _rest(idle) == b""  # it gives its descriptor back
            wait_until(lambda: len(tried) >= 3)
            assert len(tried) < 20
            exhausted.clear()
            assert _rest(client).startswith(b"HTTP/1.1 200")
    assert [record.message for record in caplog.records] == [
        "the preview can't take a connection (Too many open files); it goes on trying"
    ]


def test_few_descriptors_allow_few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (40, 40))
    assert Connections()._most == 10
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert Connections()._most == connections.MOST


def test_closing_waits_for_no_change_of_prompts_and_tells_its_client() -> None:
    run, begun, go_on = Run(), threading.Event(), threading.Event()

    def slow(prompts: object) -> None:
        begun.set()
        assert go_on.wait(20)

    answers: list[tuple[int, dict]] = []
    run.server._set_prompts = slow
    with run.server:
        changing = [
            threading.Thread(target=lambda: answers.append(change(run, {"prompts": ["dog"]}))) for _ in range(2)
        ]
        for each in changing:
            each.start()
        assert begun.wait(20)
        wait_until(lambda: run.server._site._changes == 2)
        run.server.close()
        assert not go_on.is_set()  # would have waited for it
    for each in changing:
        each.join(20)
    assert [(code, answer["error"]) for code, answer in answers] == [(503, "the run has ended")] * 2
    go_on.set()
    wait_until(lambda: not [each for each in threading.enumerate() if each.name.startswith("preview")])


def test_changes_that_wait_have_an_end(run: Run) -> None:
    go_on = threading.Event()
    run.server._site._set_prompts = lambda prompts: go_on.wait(20)
    codes: list[int] = []
    changing = [
        threading.Thread(target=lambda: codes.append(change(run, {"prompts": ["dog"]})[0]))
        for _ in range(site.MOST_CHANGES)
    ]
    for each in changing:
        each.start()
    wait_until(lambda: run.server._site._changes == site.MOST_CHANGES)
    assert change(run, {"prompts": ["dog"]})[0] == 503
    go_on.set()
    for each in changing:
        each.join(20)
    assert codes == [200] * site.MOST_CHANGES


def test_threads_of_a_server_do_not_keep_the_process() -> None:
    called = threading.Event()

    async def call() -> bool:
        background = Background("preview test")
        calling = asyncio.create_task(background.call(called.wait, 20))
        while background._thread.ident is None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)
        background.close(0.01)
        calling.cancel()
        return background._thread.daemon and background._thread.is_alive()

    assert asyncio.run(call())
    called.set()


def test_a_server_that_was_closed_before_it_began_ends_by_itself() -> None:
    """As where an interrupt comes while it starts."""
    run = Run()
    run.server.close()
    run.server.start()
    run.server._thread.join(20)
    assert not [each for each in threading.enumerate() if each.name.startswith("preview")]
