"""No client can take more than its share: sizes, times, the queue, and clients that vanish."""

from __future__ import annotations

import contextlib
import json
import math
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from fastsam_trt import Pipeline
from fastsam_trt.errors import OptionError
from fastsam_trt.serve import Limits, SegmentServer, body_reader
from fastsam_trt.serve.web_app import WebApp
from support.served import PHOTO, HeldPipeline, Served, as_json, colours, form, serving
from support.waiting import until

PATIENT = Limits(timeout_s=300)
HEAD = b"POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + form(b"")[1].encode() + b"\r\n"


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    with colours() as opened:
        yield opened


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> list[WebApp]:
    """The apps of the servers that a test starts."""
    made: list[WebApp] = []
    make = SegmentServer._make_app

    def keep(self: SegmentServer, connections: Any) -> WebApp:
        made.append(make(self, connections))
        return made[-1]

    monkeypatch.setattr(SegmentServer, "_make_app", keep)
    return made


def _status(client: Any) -> bytes:
    """The status line and headers of an answer to a request by hand; empty if the connection was ended."""
    with contextlib.suppress(ConnectionError):
        return bytes(client.recv(4096))
    return b""


def test_a_photo_of_200_megapixels_is_refused_by_its_header(pipeline: Pipeline) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 20_000, 10_001, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with serving(pipeline) as served:
        reply = served.segment(bomb)
        assert reply.status == 413
        assert "at most 50 million pixels, found 20000 x 10001" in reply.detail
    with serving(pipeline, limits=replace(PATIENT, pixels=256 * 256 - 1)) as served:
        assert served.segment().status == 413
    with serving(pipeline, limits=replace(PATIENT, pixels=256 * 256)) as served:
        assert served.segment().status == 200


@pytest.mark.parametrize("fields", [{}, {"points": [[48, 48], [176, 176]]}, {"output": "class-map"}])
def test_masks_that_would_fill_the_memory_are_refused(fields: dict[str, Any]) -> None:
    with Pipeline("colours", backend="onnxruntime", max_mask_pixels=1000) as small, serving(small) as served:
        reply = served.segment(**fields)
        assert reply.status == 413
        assert "masks of at most 0.001 million pixels together" in reply.detail
        assert "lower max_selected or iou, raise conf" in reply.detail
        assert served.segment(prompts="blue").status == 200
        assert served.segment(masks="none").status == 200


@pytest.mark.parametrize("send", [form, as_json])
def test_a_body_that_is_too_large_is_refused(pipeline: Pipeline, send: Any) -> None:
    body = send(PHOTO)
    with serving(pipeline, limits=replace(PATIENT, body_bytes=len(body[0]) - 1)) as served:
        reply = served.post(body)
        assert reply.status == 413
        assert f"at most {len(body[0]) - 1} bytes" in reply.detail
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body[0]), body[0])
        with contextlib.closing(served.connect(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked)) as client:
            assert _status(client).startswith(b"HTTP/1.1 413")
        assert served.metric("fastsam_trt_body_bytes") == 0
    with serving(pipeline, limits=replace(PATIENT, body_bytes=len(body[0]))) as served:
        assert served.post(body).status == 200


def test_a_large_body_need_not_be_sent(pipeline: Pipeline) -> None:
    expect = HEAD + b"Expect: 100-continue\r\nContent-Length: "
    with serving(pipeline) as served:
        for length, answer in ((99_999_999, b"HTTP/1.1 413"), (10, b"HTTP/1.1 100")):
            with contextlib.closing(served.connect(expect + str(length).encode() + b"\r\n\r\n")) as client:
                assert _status(client).startswith(answer)
        with contextlib.closing(served.connect(HEAD + b"Expect: magic\r\nContent-Length: 1\r\n\r\n")) as client:
            assert _status(client).startswith(b"HTTP/1.1 417")


@pytest.mark.parametrize("framing", [b"Content-Length: 900\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\n"])
def test_a_slow_body_is_given_up(
    pipeline: Pipeline, framing: bytes, monkeypatch: pytest.MonkeyPatch, app: list[WebApp]
) -> None:
    monkeypatch.setattr(body_reader, "_FIRST_S", 0.2)
    with serving(pipeline) as served, contextlib.closing(served.connect(HEAD + framing + b"--m")) as client:
        assert _status(client).startswith(b"HTTP/1.1 408")
        assert served.metric("fastsam_trt_body_bytes") == 0
        assert served.metric('fastsam_trt_requests_total{path="/v1/segment",status="408"}') == 1


def test_a_body_that_is_cut_off_is_dropped(pipeline: Pipeline) -> None:
    body = form(PHOTO)[0]
    with serving(pipeline) as served:
        client = served.connect(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:1000])
        assert until(lambda: served.metric("fastsam_trt_body_bytes") == 1000)
        client.close()
        assert until(lambda: served.metric("fastsam_trt_body_bytes") == 0)
        assert served.segment().status == 200
        cut = HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) // 2) + body[: len(body) // 2]  # well framed
        with contextlib.closing(served.connect(cut)) as client:
            assert _status(client).startswith(b"HTTP/1.1 400")


def _holds(served: Served, body_bytes: int) -> bool:
    return served.metric("fastsam_trt_body_bytes") == body_bytes


def test_all_bodies_together_have_a_limit(pipeline: Pipeline) -> None:
    limits = replace(PATIENT, body_bytes=10_000)
    part = HEAD + b"Content-Length: 10000\r\n\r\n" + b"x" * 9_000
    with serving(pipeline, limits=limits) as served, contextlib.ExitStack() as stack:
        for number in range(8):
            stack.enter_context(contextlib.closing(served.connect(part)))
            assert until(partial(_holds, served, 9_000 * (number + 1)))
        reply = served.post((b"x" * 9_000, "application/json"))
        assert reply.status == 503
        assert int(reply.headers["Retry-After"]) >= 1
        assert "too many are being received" in reply.detail


def test_a_full_queue_is_told_to_try_later(pipeline: Pipeline) -> None:
    held = HeldPipeline(pipeline)
    with (
        ThreadPoolExecutor(5) as pool,
        serving(held, limits=replace(PATIENT, queue=2), workers=2) as served,
    ):
        replies = [pool.submit(served.segment) for _ in range(4)]
        for _ in range(2):
            assert held.begun.acquire(timeout=60)
        assert until(lambda: served.metric("fastsam_trt_queue_length") == 2)
        assert served.metric("fastsam_trt_requests_in_flight") == 4
        reply = served.segment()
        assert reply.status == 429
        assert int(reply.headers["Retry-After"]) >= 1
        assert "at most 2 requests to wait" in reply.detail
        held.go_on.set()
        assert [each.result().status for each in replies] == [200] * 4
        assert served.metric("fastsam_trt_requests_in_flight") == 0
        assert served.segment().status == 200


def test_an_answer_that_takes_too_long_is_not_waited_for(pipeline: Pipeline) -> None:
    held = HeldPipeline(pipeline)
    with serving(held, limits=Limits(timeout_s=0.3), workers=1) as served:
        reply = served.segment()
        assert reply.status == 503
        assert "within 0.3 s" in reply.detail
        assert int(reply.headers["Retry-After"]) >= 1
        waited = served.segment()  # behind the first, which still runs
        assert waited.status == 503
        held.go_on.set()
        assert until(lambda: served.metric("fastsam_trt_queue_length") == 0)
    assert held.calls == 1  # the second was passed over


def test_a_client_that_is_gone_is_not_worked_for(pipeline: Pipeline) -> None:
    held = HeldPipeline(pipeline)
    body = form(PHOTO)[0]
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with serving(held, limits=PATIENT, workers=1) as served, ThreadPoolExecutor(1) as pool:
        first = pool.submit(served.segment)
        assert held.begun.acquire(timeout=60)
        client = served.connect(whole)
        assert until(lambda: served.metric("fastsam_trt_requests_in_flight") == 2)
        client.close()
        assert until(lambda: served.metric("fastsam_trt_requests_in_flight") == 1)
        assert served.metric("fastsam_trt_body_bytes") == len(body)  # of the first
        held.go_on.set()
        assert first.result().status == 200
    assert held.calls == 1


def test_connections_with_unfinished_headers_are_ended_and_others_are_served(
    pipeline: Pipeline, app: list[WebApp]
) -> None:
    with serving(pipeline) as served, contextlib.ExitStack() as stack:
        connections = app[0]._connections
        connections.limits = replace(connections.limits, request_within_s=0.3)
        slow = [
            stack.enter_context(contextlib.closing(served.connect(b"POST /v1/segment HTTP/1.1\r\nHost: l")))
            for _ in range(20)
        ]
        assert all(_status(client) == b"" for client in slow)
        assert served.segment().status == 200


def test_deep_and_large_json_does_not_stop_the_server(pipeline: Pipeline) -> None:
    with serving(pipeline) as served:
        for body in (
            b"[" * 5_000_000,
            b'{"prompts":' + b"[" * 1_000_000,
            json.dumps({"prompts": ["x" * 5_000_000]}).encode(),
        ):
            assert served.post((body, "application/json")).status == 400
        assert served.segment().status == 200


@pytest.mark.parametrize(
    "limits",
    [
        {"body_bytes": 0},
        {"pixels": 1.5},
        {"queue": -1},
        {"timeout_s": 0},
        {"timeout_s": math.nan},
    ],
)
def test_limits_out_of_range(limits: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(limits))):
        Limits(**limits)
