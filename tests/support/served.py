"""A server of segmentation with exact models, and requests to it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np

from fastsam_trt import Pipeline
from fastsam_trt.serve import AccessRules, Address, Limits, SegmentServer
from support.colour_models import scene

TOKEN = "a-token-of-more-than-16"
BOUNDARY = "made-boundary"
_PATIENCE_S = 300.0  # so that a busy machine fails no test


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


PHOTO = png(scene(("red", 1, 1), ("green", 5, 5)))
"""A red and a green square on grey, 256 x 256 px."""


def form(image: bytes | None, fields: Mapping[str, Any] | None = None) -> tuple[bytes, str]:
    """A form, and its content type. A list is one part per item; what is no text is sent as JSON."""
    parts = []
    for name, value in (fields or {}).items():
        for item in value if isinstance(value, list) else [value]:
            text = item if isinstance(item, str) else json.dumps(item)
            parts.append(b'name="%b"\r\n\r\n%b' % (name.encode(), text.encode("utf-8", "surrogatepass")))
    if image is not None:
        parts.append(b'name="image"; filename="photo"\r\nContent-Type: application/octet-stream\r\n\r\n' + image)
    mark = b"--" + BOUNDARY.encode()
    head = mark + b"\r\nContent-Disposition: form-data; "
    return b"\r\n".join(
        [*(head + part for part in parts), mark + b"--\r\n"]
    ), f"multipart/form-data; boundary={BOUNDARY}"


def as_json(image: bytes, fields: Mapping[str, Any] | None = None) -> tuple[bytes, str]:
    """The same as JSON."""
    return json.dumps({"image": base64.b64encode(image).decode(), **(fields or {})}).encode(), "application/json"


class Reply:
    """What a server answered."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.status, self.body, self.headers = status, body, headers

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """The reason of a problem, whose form is checked."""
        record = self.json()
        assert self.headers["Content-Type"] == "application/problem+json"
        assert set(record) == {"title", "status", "detail"}
        assert record["status"] == self.status
        assert "\n" not in record["detail"]
        return str(record["detail"])


class Served:
    """A server, and what clients send to it."""

    def __init__(self, server: SegmentServer) -> None:
        self.server = server
        self.port = server.address.port

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request on its own connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, answer.read(), dict(answer.getheaders()))
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.send("GET", path, headers=headers)

    def post(self, content: tuple[bytes, str], **headers: str) -> Reply:
        """Post a body of a content type to `/v1/segment`."""
        body, kind = content
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", "/v1/segment", body, {"Content-Type": kind, **named})

    def segment(self, image: bytes = PHOTO, **fields: Any) -> Reply:
        """Segment an image, with fields as a form."""
        return self.post(form(image, fields))

    def connect(self, data: bytes = b"") -> socket.socket:
        """A connection, by hand."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        client.sendall(data)
        return client

    def metric(self, name: str) -> float:
        """The value of a metric, by its name and labels."""
        lines = self.get("/metrics").body.decode().splitlines()
        return float(next(line.rpartition(" ")[2] for line in lines if line.rpartition(" ")[0] == name))


@contextlib.contextmanager
def serving(
    pipeline: Any, rules: AccessRules | None = None, limits: Limits | None = None, **options: Any
) -> Iterator[Served]:
    """Serve with a pipeline, and check at the end that the server's threads have ended."""
    limits = limits or Limits(timeout_s=_PATIENCE_S)
    with SegmentServer(Address("127.0.0.1", 0), rules, limits, **options) as server:
        if pipeline is not None:
            server.use(pipeline)
        yield Served(server)
    assert not [thread for thread in threading.enumerate() if thread.name in ("server", "serve worker")]


def colours() -> Pipeline:
    """A pipeline that finds squares of three colours exactly."""
    return Pipeline("colours", clip="clip-colours", backend="onnxruntime")


class HeldPipeline:
    """A pipeline whose calls wait until they are let go."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.segmenter = pipeline.segmenter
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.calls = 0
        self.track = False
        self._pipeline = pipeline

    def process(self, frame: np.ndarray, **call: Any) -> Any:
        self.calls += 1
        self.begun.release()
        assert self.go_on.wait(60)
        return self._pipeline.process(frame, **call)
