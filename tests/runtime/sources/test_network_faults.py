"""Addresses whose server fails: the error says whose fault it is, its exit code too, and all within limits of time."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator

import cv2
import pytest

from fastsam_engine.errors import FastsamError
from fastsam_trt import open_source
from fastsam_trt.errors import SourceNotFoundError, SourceUnreachableError, SourceUnreadableError
from fastsam_trt.sources.live import diagnosis, http_image
from fastsam_trt.sources.live import live_source as live_module
from fastsam_trt.sources.live.capture_thread import Reader
from support.live_senders import Server, numbered, open_captures
from support.waiting import until

Serve = Callable[[socket.socket, int], None]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\n"


@pytest.fixture(autouse=True)
def _no_capture_is_left() -> Iterator[None]:
    yield
    assert until(lambda: not open_captures())


@pytest.fixture
def ended() -> Iterator[threading.Event]:
    """Set at the end of the test; servers that send nothing wait for it."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time limits that are a twentieth of the real ones."""
    monkeypatch.setattr(live_module, "_OPEN_S", 0.5)
    monkeypatch.setattr(diagnosis, "_CONNECT_S", 0.1)
    monkeypatch.setattr(http_image, "_WAIT_S", 0.25)


def _error(scheme: str, serve: Serve, ended: threading.Event) -> FastsamError:
    with Server(serve) as server:
        try:
            with pytest.raises(FastsamError) as caught:
                open_source(f"{scheme}://127.0.0.1:{server.port}/x.mp4")
        finally:
            ended.set()
        assert f"127.0.0.1:{server.port}" in str(caught.value)
        return caught.value


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize("scheme", ["http", "tcp", "rtsp", "rtmp"])
def test_a_server_that_sends_nothing_is_a_fault_of_the_network(scheme: str, ended: threading.Event) -> None:
    connections: list[int] = []

    def send_nothing(_connection: socket.socket, number: int) -> None:
        connections.append(number)
        ended.wait()

    error = _error(scheme, send_nothing, ended)
    assert type(error) is SourceUnreachableError
    assert error.exit_code == 1
    assert "which sent no video within 0.5 s; check its server" in str(error)
    assert len(connections) <= 3, "it is opened once, and its absence explained; nothing is repeated"


@pytest.mark.usefixtures("short_limits")
def test_a_server_that_stops_after_the_headers_sends_no_content(ended: threading.Event) -> None:
    def send_headers(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        connection.sendall(HEAD)
        ended.wait()

    error = _error("http", send_headers, ended)
    assert type(error) is SourceUnreadableError
    assert error.exit_code == 1


@pytest.mark.parametrize(
    ("scheme", "status", "kind", "code"),
    [
        ("http", "404 Not Found", SourceNotFoundError, 2),
        ("http", "403 Forbidden", SourceNotFoundError, 2),
        ("http", "429 Too Many Requests", SourceUnreachableError, 1),
        ("http", "500 Internal Server Error", SourceUnreachableError, 1),
        ("http", "503 Service Unavailable", SourceUnreachableError, 1),
        ("rtsp", "401 Unauthorized", SourceNotFoundError, 2),
        ("rtsp", "503 Service Unavailable", SourceUnreachableError, 1),
    ],
)
def test_a_status_tells_a_wrong_request_from_a_server_out_of_order(
    scheme: str, status: str, kind: type[FastsamError], code: int, ended: threading.Event
) -> None:
    protocol = {"http": "HTTP/1.1", "rtsp": "RTSP/1.0"}[scheme]

    def refuse(connection: socket.socket, _number: int) -> None:
        if connection.recv(4096):
            connection.sendall(f"{protocol} {status}\r\nCSeq: 1\r\nContent-Length: 0\r\n\r\n".encode())

    error = _error(scheme, refuse, ended)
    assert type(error) is kind
    assert error.exit_code == code
    assert f"which answers {protocol if scheme == 'rtsp' else 'HTTP'} {status}" in str(error)


def test_a_page_is_content_that_is_no_video(ended: threading.Event) -> None:
    page = b"<html><body>log in first</body></html>"

    def send_page(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page) + page
        )

    error = _error("http", send_page, ended)
    assert type(error) is SourceUnreadableError
    assert error.exit_code == 1


def test_the_last_attempt_to_reconnect_ends_with_the_limit(
    monkeypatch: pytest.MonkeyPatch, ended: threading.Event
) -> None:
    """The pause before an attempt counts, so an attempt gets what is left of the time, not what was left before."""
    limits: list[float] = []
    real = live_module.open_reader

    def watch(target: str | int, *, open_s: float, read_s: float) -> Reader:
        limits.append(open_s)
        if len(limits) > 1:
            raise OSError("gone")
        return real(target, open_s=open_s, read_s=read_s)

    monkeypatch.setattr(live_module, "open_reader", watch)
    monkeypatch.setattr(live_module, "_SHORTEST_OPEN_S", 0.01)
    picture = cv2.imencode(".jpg", numbered(5))[1].tobytes()

    def send_some(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n")
        for _ in range(8):
            connection.sendall(b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture))
            connection.sendall(picture + b"\r\n")

    with (
        Server(send_some) as server,
        open_source(f"http://127.0.0.1:{server.port}/x", reconnect_s=1.5) as source,
        pytest.raises(FastsamError, match=r"expected it back within 1.5 s"),
    ):
        list(source)
    ended.set()
    assert len(limits) > 2
    assert all(later < earlier for earlier, later in itertools.pairwise(limits[1:]))
    assert limits[1] <= 1.5 - live_module._FIRST_DELAY_S
