"""Test the preview's pictures, statistics and prompts, slow and vanished clients, and closing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import numpy as np
import pytest

from fastsam_trt.errors import ClipNotFoundError
from fastsam_trt.preview import Address, PreviewServer, feed, jpeg, status, web_app
from fastsam_trt.preview import client as preview_client
from fastsam_trt.preview.settings import Settings
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.shared_overlay import Overlay
from fastsam_trt.sources import Frame
from support.preview_run import (
    Run,
    change_prompts,
    clients,
    encode,
    next_of,
    parse_image,
    raw_client,
    result_of,
    send_next,
    send_request,
    serving,
    shrink_send_buffers,
    watching,
)
from support.waiting import until


@pytest.fixture
def run() -> Iterator[Run]:
    with serving() as made:
        yield made


def test_images_and_statistics_reach_a_client(run: Run) -> None:
    async def watch() -> tuple[bytes, dict[str, Any]]:
        async with watching(run, Origin=run.server.url.rstrip("/")) as ws:
            first = json.loads(await next_of(ws, str))
            assert first["state"] in ("waiting", "live")
            assert first["prompts"] == ["cat"]
            await ws.send_str("next")
            image = await next_of(ws, bytes)
            while (status := json.loads(await next_of(ws, str)))["state"] != "live":
                pass
            return image, status

    run.begin()
    image, status = asyncio.run(watch())
    document, picture = parse_image(image)
    assert picture.shape == (120, 160, 3)
    assert (document["number"], document["size"], document["count"]) == (1, [120, 160], 1)
    assert document["selected"] == [["cat", 0.75, 0.9, None]]
    assert status["stats"]["dropped"] == 1234


def test_nothing_is_drawn_or_decoded_without_clients(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Result, "crops", lambda self: pytest.fail("decoded"))
    for _ in range(50):
        run.write()
    assert run.server.feed.drawn == 0


def test_nothing_is_drawn_for_a_client_that_requests_nothing(run: Run) -> None:
    async def watch() -> None:
        async with watching(run) as ws:
            await next_of(ws, str)
            for _ in range(50):
                await asyncio.to_thread(run.write)
            json.loads(await next_of(ws, str))

    asyncio.run(watch())
    assert run.server.feed.drawn == 0


def test_a_client_gets_one_image_per_request(run: Run) -> None:
    async def watch() -> None:
        async with watching(run) as ws:
            await ws.send_str("next")
            await next_of(ws, bytes)
            for _ in range(2):
                message = await ws.receive()
                assert message.type is aiohttp.WSMsgType.TEXT

    run.begin()
    asyncio.run(watch())
    assert run.server.feed.drawn == 1


def test_writing_does_not_wait_for_drawing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    first = run.made

    def slow(number: int, frame: Frame, result: Result, overlay: Overlay) -> jpeg.OverlayImage:
        begun.set()
        assert go_on.wait(60)
        return jpeg.encode_overlay(number, frame, result, overlay)

    monkeypatch.setattr(feed, "encode_overlay", slow)
    with contextlib.closing(raw_client(run)) as client:
        send_next(client)
        run.write_until(begun.is_set)
        for _ in range(100):  # would hang if it waited
            run.write()
        assert run.made > first + 100
        assert run.server.feed.drawn == 0
        go_on.set()
        assert until(lambda: run.server.feed.drawn == 1)


def test_the_image_rate_is_limited(run: Run) -> None:
    async def watch() -> float:
        async with watching(run) as ws:
            start = time.perf_counter()
            for _ in range(8):
                await ws.send_str("next")
                await next_of(ws, bytes)
            return time.perf_counter() - start

    run.begin()
    assert asyncio.run(watch()) >= 7 / feed.MOST_PER_SECOND * 0.98


def test_a_client_that_reads_nothing_gets_one_image_and_delays_no_other(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1280, 1280, 3), np.uint8)
    monkeypatch.setattr(Overlay, "of", lambda self, result: noise)  # too large for the sockets' buffers
    largest = len(encode(result_of(0)).message)
    assert largest > 1_000_000
    with contextlib.closing(raw_client(run)) as slow, contextlib.closing(raw_client(run)) as idle:
        shrink_send_buffers(run)
        send_next(slow)
        run.write_until(lambda: any(each.buffered > 100_000 for each in clients(run)))
        stuck = max(clients(run), key=lambda each: each.buffered)
        for _ in range(40):  # however often it requests one
            send_next(slow)

        async def watch() -> list[int]:
            async with watching(run) as ws:
                buffered = []
                for _ in range(12):
                    await ws.send_str("next")
                    assert len(await next_of(ws, bytes)) >= largest
                    buffered.append(stuck.buffered)
                return buffered

        run.begin()
        buffered = asyncio.run(watch())
        assert max(buffered) <= largest + 64 * 1024
        assert buffered[-1] == buffered[0]
        assert idle.fileno() >= 0


def test_a_client_that_reads_nothing_for_long_is_dropped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview_client, "_SEND_WITHIN_S", 0.3)
    noise = np.random.default_rng(0).integers(0, 256, (1280, 1280, 3), np.uint8)
    monkeypatch.setattr(Overlay, "of", lambda self, result: noise)
    with contextlib.closing(raw_client(run)) as client:
        shrink_send_buffers(run)
        send_next(client)
        run.write_until(lambda: run.server.feed.drawn == 1)
        assert until(lambda: not clients(run))
    assert run.app.shown.find(1) is None
    assert not run.server.feed.wanted


def test_a_client_that_vanished_is_dropped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview_client, "HEARTBEAT_S", 0.4)
    with contextlib.closing(raw_client(run)) as silent:  # answers no ping, as if its cable was pulled
        send_next(silent)
        assert until(lambda: run.server.feed.wanted)
        assert until(lambda: not clients(run))
        assert not run.server.feed.wanted
    reset = raw_client(run)
    assert until(lambda: len(clients(run)) == 1)
    reset.close()
    assert until(lambda: not clients(run))


def test_the_number_of_clients_is_limited(run: Run) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(web_app.MOST_CLIENTS):
            stack.enter_context(contextlib.closing(raw_client(run)))
        code, _, _ = send_request(run, path="/watch", Upgrade="websocket", Connection="Upgrade")
        assert code == 503


def test_prompts_can_be_changed(run: Run) -> None:
    assert change_prompts(run, {"prompts": ["dog", "red bus"]}) == (200, {"prompts": ["dog", "red bus"], "error": None})
    assert change_prompts(run, {"prompts": []}, Origin=run.server.url.rstrip("/")) == (
        200,
        {"prompts": [], "error": None},
    )
    assert run.requested == [("dog", "red bus"), ()]

    async def watch() -> list[str]:
        async with watching(run) as ws:
            return json.loads(await next_of(ws, str))["prompts"]

    run.prompts = ("東京",)
    assert asyncio.run(watch()) == ["東京"]


def test_a_failed_change_reports_the_error_and_keeps_the_old_prompts(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run.error = ClipNotFoundError("red bus", "yolov8n-seg", "clip-vit-base-patch32")
    assert change_prompts(run, {"prompts": ["red bus"]}) == (422, {"prompts": ["cat"], "error": str(run.error)})
    run.error = RuntimeError("broken")
    code, answer = change_prompts(run, {"prompts": ["red bus"]})
    assert (code, answer["error"], answer["prompts"]) == (500, "unexpected RuntimeError: broken", ["cat"])
    assert "could not be changed" in caplog.text


def test_a_slow_change_delays_neither_images_nor_statistics(run: Run) -> None:
    opened = threading.Event()
    run.hold = lambda: opened.wait(60)
    changing = threading.Thread(target=change_prompts, args=(run, {"prompts": ["dog"]}))

    async def watch() -> None:
        async with watching(run) as ws:
            await ws.send_str("next")
            await next_of(ws, bytes)
            await next_of(ws, str)

    run.begin()
    changing.start()
    asyncio.run(watch())
    assert changing.is_alive()
    opened.set()
    changing.join()


def test_closing_ends_threads_and_sockets_and_frees_the_port() -> None:
    before = set(threading.enumerate())
    run = Run()
    with run.server as server:
        port = server.address.port
        with contextlib.closing(raw_client(run)) as client, contextlib.closing(raw_client(run)):
            send_next(client)
            run.begin()
            assert until(lambda: server.feed.drawn > 0)
            server.close()  # while frames come and two clients are connected
            run.write()
            run.end()
            assert set(threading.enumerate()) == before
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    server.close()  # again
    with PreviewServer(Address("127.0.0.1", port), tuple, lambda prompts: None, dict):
        pass
    never = PreviewServer(Address("127.0.0.1", 0), tuple, lambda prompts: None, dict)
    never.close()
    assert set(threading.enumerate()) == before


def test_clients_see_the_end_of_the_run(run: Run) -> None:
    async def watch() -> list[str]:
        states = []
        async with watching(run) as ws:
            states.append(json.loads(await next_of(ws, str))["state"])
            run.sink.close()
            while states[-1] != "ended":
                states.append(json.loads(await next_of(ws, str))["state"])
            await asyncio.to_thread(run.server.close)
            while (message := await ws.receive()).type != aiohttp.WSMsgType.CLOSE:
                assert json.loads(message.data)["state"] == "ended"
            return states

    run.write()
    states = asyncio.run(watch())
    assert states[0] == "live"


def test_a_run_without_new_frames_is_stalled() -> None:
    fed = feed.Feed()
    shown = status.Status(fed, Settings(tuple, print, None), dict)
    assert shown.state(0.0) == "waiting"
    fed.last_s, fed.gap_s = 100.0, 0.03
    assert [shown.state(now) for now in (101.9, 102.1)] == ["live", "stalled"]
    fed.gap_s = 1.5  # a slow model is not a stalled camera
    assert [shown.state(now) for now in (105.9, 106.1)] == ["live", "stalled"]
    fed.end()
    assert shown.state(102.0) == "ended"
    fed.count_frame((3, 4))
    assert shown.state(fed.last_s) == "live"


def test_a_drawing_error_does_not_end_the_preview(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(number: int, frame: Frame, result: Result, overlay: Overlay) -> jpeg.OverlayImage:
        monkeypatch.setattr(feed, "encode_overlay", jpeg.encode_overlay)
        raise ValueError("no picture")

    monkeypatch.setattr(feed, "encode_overlay", broken)

    async def watch() -> bytes:
        async with watching(run) as ws:
            await ws.send_str("next")
            return await next_of(ws, bytes)

    run.begin()
    assert parse_image(asyncio.run(watch()))[0]["number"] == 1
    assert "could not draw" in caplog.text
