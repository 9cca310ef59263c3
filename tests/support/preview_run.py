"""Provide a run with a preview, and clients for it: HTTP, WebSockets and raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest

from fastsam_trt.preview import Address, LiveThresholds, PreviewServer, PreviewSink, Region
from fastsam_trt.preview.jpeg import OverlayImage, encode_overlay
from fastsam_trt.preview.web_app import WebApp
from fastsam_trt.results.result import Result
from fastsam_trt.sources import Frame
from support import headless_chromium
from support.made_results import made_result
from support.typed import present
from support.waiting import until


def result_of(
    shade: int, size: tuple[int, int] = (120, 160), prompts: tuple[str, ...] = ("cat",), similarity: float = 0.75
) -> Result:
    """Make a result with a plain grey frame and one segment in its middle."""
    mask = np.zeros(size, np.bool_)
    mask[size[0] // 3 : size[0] // 2, size[1] // 3 : size[1] // 2] = True
    result = made_result([mask], prompts=prompts, prompt_ids=[0], similarities=[similarity], size=size)
    result.frame[:] = shade % 256
    return result


class MadeControls:
    """Boxes, points and thresholds that are kept; `error` refuses changes."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.regions: tuple[Region, ...] = ()
        self.thresholds = LiveThresholds(0.25, 0.5)

    def set_regions(self, regions: Sequence[Region]) -> None:
        if self.error is not None:
            raise self.error
        self.regions = tuple(regions)

    def set_thresholds(self, conf: float | None = None, threshold: float | None = None) -> None:
        if self.error is not None:
            raise self.error
        old = self.thresholds
        self.thresholds = LiveThresholds(
            old.conf if conf is None else conf, old.threshold if threshold is None else threshold
        )


class Run:
    """A run that makes frames and records the prompts that are set."""

    def __init__(self) -> None:
        self.prompts: tuple[str, ...] = ("cat",)
        self.requested: list[tuple[str, ...]] = []
        self.controls = MadeControls()
        self.size = (120, 160)
        self.numbered = False  # whether shade and similarity tell the number of the frame, modulo 32
        self.made = 0
        self.error: Exception | None = None
        self.hold: Callable[[], object] = lambda: None  # what a change of prompts waits for
        self.server = PreviewServer(
            Address("127.0.0.1", 0),
            lambda: self.prompts,
            self.set_prompts,
            self.stats,
            controls=self.controls,
        )
        self.sink = PreviewSink(self.server)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def set_prompts(self, prompts: Sequence[str]) -> None:
        self.hold()
        self.requested.append(tuple(prompts))
        if self.error is not None:
            raise self.error
        self.prompts = tuple(prompts)

    def stats(self) -> dict[str, Any]:
        return {
            "frames": self.made, "dropped": 1234, "fps_in": 30.0, "fps_out": 24.5, "age_p50_live_ms": 41.2,
            "age_p99_live_ms": None, "embedded_per_frame": 1.5, "queues": {"captured": 1, "segmented": 0},
            "health": {"losses": 2, "stalls": 1, "reconnections": 2, "away_s": 3.4},
        }  # fmt: skip

    @property
    def app(self) -> WebApp:
        """The server's app; it has begun."""
        return present(self.server._app)

    def write(self) -> None:
        shade, similarity = (self.made % 32 * 8, self.made % 32 / 32) if self.numbered else (self.made, 0.75)
        result = result_of(shade, self.size, self.prompts or ("cat",), similarity)
        self.sink.write(Frame(result.frame, self.made, "made"), result)
        self.made += 1

    def begin(self) -> None:
        """Make frames on a thread until `end`."""
        self._thread = threading.Thread(target=self._make, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _make(self) -> None:
        while not self._stop.wait(0.005):
            self.write()

    def write_until(self, met: Callable[[], bool], within_s: float = 60) -> None:
        """Make frames until a condition is met."""
        assert until(lambda: self.write() or met(), within_s)


def need_chromium() -> None:
    """Skip the test where there is no browser."""
    if headless_chromium.find_chromium() is None:
        pytest.skip(f"no browser: none of {', '.join(headless_chromium.NAMES)} is installed")


@contextlib.contextmanager
def serving() -> Iterator[Run]:
    """Start a run with a server, and check at the end that its threads have ended."""
    made = Run()
    with made.server:
        try:
            yield made
        finally:
            made.end()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("preview")]


def send_request(
    run: Run, method: str = "GET", path: str = "/", body: bytes | None = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """Send one request. `Content_Type` sets Content-Type; an empty value leaves a header out."""
    connection = http.client.HTTPConnection("127.0.0.1", run.server.address.port, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host="Host" in named)
    for name, value in named.items():
        if value:
            connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    received = response.status, response.read(), dict(response.getheaders())
    connection.close()
    return received


def post(run: Run, path: str, content: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    """Post a change of the settings; content that is not bytes is sent as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    code, answer, _ = send_request(run, "POST", path, body, **{"Content_Type": "application/json", **headers})
    return code, json.loads(answer)


def change_prompts(run: Run, content: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    """Post to /prompts, and return the prompts and the error of the answer."""
    code, answer = post(run, "/prompts", content, **headers)
    return code, {name: answer[name] for name in ("prompts", "error")}


def encode(result: Result, number: int = 1) -> OverlayImage:
    """Encode a result as the preview does."""
    return encode_overlay(number, Frame(result.frame, number, "made"), result)


def parse_image(message: bytes) -> tuple[dict[str, Any], np.ndarray]:
    """Parse the message of an image into its document and its picture, (H, W, 3) uint8 BGR."""
    length = int.from_bytes(message[:4], "big")
    picture = cv2.imdecode(np.frombuffer(message[4 + length :], np.uint8), cv2.IMREAD_COLOR)
    return json.loads(message[4 : 4 + length]), present(picture)


@contextlib.asynccontextmanager
async def watching(run: Run, **headers: str) -> Any:
    async with aiohttp.ClientSession() as session, session.ws_connect(run.server.url + "watch", headers=headers) as ws:
        yield ws


async def next_of(ws: Any, kind: type) -> Any:
    """Receive the next image (bytes) or status (str)."""
    async with asyncio.timeout(20):
        while True:
            message = await ws.receive()
            assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
            if isinstance(message.data, kind):
                return message.data


def raw_client(run: Run) -> socket.socket:
    """Open a WebSocket by hand; it reads nothing after the handshake."""
    client = socket.socket()
    client.settimeout(20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before it connects, else the window is larger
    client.connect(("127.0.0.1", run.server.address.port))
    client.sendall(
        b"GET /watch HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert client.recv(12) == b"HTTP/1.1 101"
    return client


def shrink_send_buffers(run: Run) -> None:
    """Make the system's send buffers small, so that unread data waits in this process."""
    for client in clients(run):
        client._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


def send_next(client: socket.socket) -> None:
    client.sendall(b"\x81\x84\0\0\0\0next")


def clients(run: Run) -> list[Any]:
    return list(run.server._app.clients) if run.server._app else []
