"""The preview: pictures, figures and prompts; clients that are slow or gone; an end that leaves nothing."""

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
import cv2
import numpy as np
import pytest

from fastsam_trt.drawing.overlay import draw
from fastsam_trt.errors import ClipNotFoundError
from fastsam_trt.preview import Address, PreviewServer, feed, site, status
from fastsam_trt.preview import client as watcher
from fastsam_trt.preview import jpeg as pictures
from fastsam_trt.results.result import Result
from support.made_results import made_result
from support.preview_run import (
    Run,
    ask,
    change,
    narrow,
    next_of,
    raw_watcher,
    result_of,
    say_next,
    serving,
    wait_until,
    watchers,
    watching,
)


@pytest.fixture
def run() -> Iterator[Run]:
    with serving() as made:
        yield made


def test_pictures_and_figures_reach_a_client(run: Run) -> None:
    async def watch() -> tuple[bytes, dict[str, Any]]:
        async with watching(run, Origin=run.server.url.rstrip("/")) as ws:
            first = json.loads(await next_of(ws, str))
            assert first["state"] in ("waiting", "live")
            assert first["prompts"] == ["cat"]
            await ws.send_str("next")
            picture = await next_of(ws, bytes)
            while not (told := json.loads(await next_of(ws, str)))["selected"]:
                pass
            return picture, told

    run.begin()
    picture, told = asyncio.run(watch())
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).shape == (120, 160, 3)
    assert told["state"] == "live"
    assert told["selected"] == [{"name": "cat", "similarity": 0.75, "score": 0.9, "track": None}]
    assert told["count"] == 1
    assert told["figures"]["dropped"] == 1234


def test_a_picture_is_what_is_drawn_and_no_longer_than_1280_px() -> None:
    result = result_of(90)
    made = pictures.make_picture(result)
    shown = cv2.imdecode(np.frombuffer(made.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(shown.astype(int) - draw(result)).mean() < 4
    for size, expected in (((1080, 1920), (720, 1280)), ((3000, 1000), (1280, 427)), ((1, 2000), (1, 1280))):
        jpeg = pictures.make_picture(result_of(1, size)).jpeg
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (*expected, 3)


def test_rows_of_many_segments_are_cut_and_counted() -> None:
    masks = [np.ones((60, 80), np.bool_)] * 40
    made = pictures.make_picture(made_result(masks))
    assert (len(made.selected), made.count) == (pictures.MOST_ROWS, 40)
    assert made.selected[0] == {"name": "cat", "similarity": None, "score": 0.9, "track": None}


def test_nothing_is_drawn_or_decoded_where_nobody_watches(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Result, "crops", lambda self: pytest.fail("decoded"))
    for _ in range(50):
        run.write()
    assert run.server.feed.drawn == 0


def test_nothing_is_drawn_for_a_client_that_asks_for_nothing(run: Run) -> None:
    async def watch() -> None:
        async with watching(run) as ws:
            await next_of(ws, str)
            for _ in range(50):
                await asyncio.to_thread(run.write)
            json.loads(await next_of(ws, str))

    asyncio.run(watch())
    assert run.server.feed.drawn == 0


def test_a_client_gets_one_picture_for_each_that_it_asks_for(run: Run) -> None:
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

    def slow(result: Result) -> pictures.Picture:
        begun.set()
        assert go_on.wait(20)
        return pictures.make_picture(result)

    monkeypatch.setattr(feed, "make_picture", slow)
    with contextlib.closing(raw_watcher(run)) as client:
        say_next(client)
        run.write_until(begun.is_set)
        for _ in range(100):  # would hang here
            run.write()
        assert run.made > first + 100
        assert run.server.feed.drawn == 0
        go_on.set()
        wait_until(lambda: run.server.feed.drawn == 1)


def test_pictures_are_paced(run: Run) -> None:
    async def watch() -> float:
        async with watching(run) as ws:
            start = time.perf_counter()
            for _ in range(8):
                await ws.send_str("next")
                await next_of(ws, bytes)
            return time.perf_counter() - start

    run.begin()
    assert asyncio.run(watch()) >= 7 / feed.MOST_A_SECOND * 0.98


def test_a_client_that_reads_nothing_gets_one_picture_and_keeps_nobody(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1280, 1280, 3), np.uint8)
    monkeypatch.setattr(pictures, "draw", lambda result, size: noise)  # a file too large for the sockets' buffers
    largest = len(pictures.make_picture(result_of(0)).jpeg)
    assert largest > 1_000_000
    with contextlib.closing(raw_watcher(run)) as slow, contextlib.closing(raw_watcher(run)) as idle:
        narrow(run)
        say_next(slow)
        run.write_until(lambda: any(each.buffered > 100_000 for each in watchers(run)))
        stuck = max(watchers(run), key=lambda each: each.buffered)
        for _ in range(40):  # however often it asks
            say_next(slow)

        async def watch() -> list[int]:
            async with watching(run) as ws:
                held = []
                for _ in range(12):
                    await ws.send_str("next")
                    assert len(await next_of(ws, bytes)) == largest
                    held.append(stuck.buffered)
                return held

        run.begin()
        held = asyncio.run(watch())
        assert max(held) <= largest + 64 * 1024
        assert held[-1] == held[0]
        assert idle.fileno() >= 0


def test_a_client_that_takes_nothing_for_long_is_dropped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "_SEND_WITHIN_S", 0.3)
    noise = np.random.default_rng(0).integers(0, 256, (1280, 1280, 3), np.uint8)
    monkeypatch.setattr(pictures, "draw", lambda result, size: noise)
    with contextlib.closing(raw_watcher(run)) as client:
        narrow(run)
        say_next(client)
        run.write_until(lambda: run.server.feed.drawn == 1)
        wait_until(lambda: not watchers(run))
    assert run.server.feed.picture is None
    assert not run.server.feed.wanted


def test_a_client_that_vanished_is_dropped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "HEARTBEAT_S", 0.4)
    with contextlib.closing(raw_watcher(run)) as silent:  # answers no ping, as one whose cable was pulled
        say_next(silent)
        wait_until(lambda: run.server.feed.wanted)
        wait_until(lambda: not watchers(run))
        assert not run.server.feed.wanted
    reset = raw_watcher(run)
    wait_until(lambda: len(watchers(run)) == 1)
    reset.close()
    wait_until(lambda: not watchers(run))


def test_the_number_of_clients_has_an_end(run: Run) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(site.MOST_WATCHERS):
            stack.enter_context(contextlib.closing(raw_watcher(run)))
        code, _, _ = ask(run, path="/watch", Upgrade="websocket", Connection="Upgrade")
        assert code == 503


def test_prompts_are_changed(run: Run) -> None:
    assert change(run, {"prompts": ["dog", "red bus"]}) == (200, {"prompts": ["dog", "red bus"], "error": None})
    assert change(run, {"prompts": []}, Origin=run.server.url.rstrip("/")) == (200, {"prompts": [], "error": None})
    assert run.asked == [("dog", "red bus"), ()]

    async def watch() -> list[str]:
        async with watching(run) as ws:
            return json.loads(await next_of(ws, str))["prompts"]

    run.prompts = ("東京",)
    assert asyncio.run(watch()) == ["東京"]


def test_an_error_of_a_prompt_is_told_and_the_old_ones_stay(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run.error = ClipNotFoundError("red bus", "yolov8n-seg", "clip-vit-base-patch32")
    assert change(run, {"prompts": ["red bus"]}) == (422, {"prompts": ["cat"], "error": str(run.error)})
    run.error = RuntimeError("broken")
    code, answer = change(run, {"prompts": ["red bus"]})
    assert (code, answer["error"], answer["prompts"]) == (500, "unexpected RuntimeError: broken", ["cat"])
    assert "could not be changed" in caplog.text


def test_a_slow_change_keeps_neither_pictures_nor_figures(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = threading.Event()
    monkeypatch.setattr(run.server._site, "_set_prompts", lambda prompts: opened.wait(20))
    changing = threading.Thread(target=change, args=(run, {"prompts": ["dog"]}))

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


def test_closing_leaves_no_thread_no_socket_and_a_free_port() -> None:
    before = set(threading.enumerate())
    run = Run()
    with run.server as server:
        port = server.address.port
        with contextlib.closing(raw_watcher(run)) as client, contextlib.closing(raw_watcher(run)):
            say_next(client)
            run.begin()
            wait_until(lambda: server.feed.drawn > 0)
            server.close()  # while frames come and two clients watch, neither of whom says goodbye
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


def test_the_end_of_the_run_is_told(run: Run) -> None:
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


def test_a_run_without_new_frames_has_stalled() -> None:
    fed = feed.Feed()
    told = status.Status(fed, tuple, dict)
    assert told.state(0.0) == "waiting"
    fed.last_s, fed.gap_s = 100.0, 0.03
    assert [told.state(now) for now in (101.9, 102.1)] == ["live", "stalled"]
    fed.gap_s = 1.5  # a slow model is not a stalled camera
    assert [told.state(now) for now in (105.9, 106.1)] == ["live", "stalled"]
    fed.end()
    assert told.state(102.0) == "ended"
    fed.saw_frame()
    assert told.state(fed.last_s) == "live"


def test_a_picture_that_can_not_be_drawn_does_not_end_the_preview(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(result: Result) -> pictures.Picture:
        monkeypatch.setattr(feed, "make_picture", pictures.make_picture)
        raise ValueError("no picture")

    monkeypatch.setattr(feed, "make_picture", broken)

    async def watch() -> bytes:
        async with watching(run) as ws:
            await ws.send_str("next")
            return await next_of(ws, bytes)

    run.begin()
    assert asyncio.run(watch())[:2] == b"\xff\xd8"
    assert "could not draw" in caplog.text
