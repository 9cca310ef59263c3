"""Test the preview in a browser: its pictures and statistics, changes of prompts, and reconnection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastsam_trt.errors import ClipNotFoundError
from fastsam_trt.preview import PreviewServer, Region
from support import headless_chromium
from support.preview_run import Run, clients, need_chromium, serving
from support.typed import present
from support.waiting import until


@pytest.fixture
def run() -> Iterator[Run]:
    with serving() as made:
        yield made


def test_a_browser_shows_the_run_and_changes_prompts(run: Run, tmp_path: Path) -> None:
    need_chromium()
    hostile = "<img src=x onerror=alert(1)>"
    shade = (
        "(() => {const drawn = document.createElement('canvas').getContext('2d');"
        " drawn.drawImage(document.querySelector('#image'), 0, 0); return drawn.getImageData(2, 2, 1, 1).data[0]})()"
    )
    has_nothing_to_apply = "document.querySelector('#apply').disabled"

    def text(of: str) -> str:
        return f"document.querySelector('{of}').textContent"

    async def wait_for_prompts(*prompts: str) -> None:
        assert await asyncio.to_thread(until, lambda: run.prompts == prompts)

    async def browse() -> None:
        async with headless_chromium.open_tab(tmp_path / "profile", run.server.url) as tab:
            await tab.until("document.querySelector('#image').naturalWidth", 160)
            first = await tab.evaluate(shade)
            await tab.until(f"Math.abs({shade} - {first}) > 5")  # another picture
            await tab.until(text("#state-text"), "live")
            assert await tab.evaluate(text("#chips li span")) == "cat"
            statistics = await tab.evaluate(text("#statistics"))
            for each in ("30.0 / 24.5", "41 / - ms", "1,234", "1.50", "captured\xa01", "2 times"):
                assert each in statistics
            await tab.until(text("#selected tbody"), "cat0.750.90-")

            await tab.evaluate("document.querySelector('#prompt').focus()")
            await tab.type("red bus,dog")
            await tab.until(has_nothing_to_apply, wanted=False)
            assert run.requested == []
            await tab.type("", enter=True)
            await wait_for_prompts("cat", "red bus", "dog")
            await tab.until(has_nothing_to_apply)

            run.error = ClipNotFoundError(hostile, "yolov8n-seg", "clip-vit-base-patch32")
            await tab.type(hostile, enter=True)
            await tab.until(text("#error"), str(run.error))
            assert await tab.evaluate("[...document.querySelectorAll('#chips span')].at(-1).textContent") == hostile
            assert await tab.evaluate(text("#hint")) == "Not applied yet. Current prompts: cat, red bus, dog"
            assert run.prompts == ("cat", "red bus", "dog")

            run.error = None
            await tab.evaluate("document.querySelector('#chips button').click()")
            await tab.evaluate("document.querySelector('#apply').click()")
            await wait_for_prompts("red bus", "dog", hostile)
            await tab.until("document.querySelector('#error').hidden")
            assert await tab.evaluate("document.querySelectorAll('img').length") == 1

            run.prompts = ("bird",)  # changed by another page or the program
            await tab.until(text("#chips"), "bird\xd7")
            for width in (390, 1280):
                await tab.look(width, 844, mobile=width < 500)
                assert await tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert [fault for fault in tab.faults if "422" not in fault] == []
            run.end()
            run.sink.close()
            await tab.until(text("#state-text"), "ended")

    run.begin()
    asyncio.run(browse())


def test_prompts_entered_during_a_change_are_applied_after_it(run: Run, tmp_path: Path) -> None:
    need_chromium()
    opened = threading.Event()
    run.hold = lambda: opened.wait(60)

    async def browse() -> None:
        async with headless_chromium.open_tab(tmp_path / "profile", run.server.url) as tab:
            await tab.until("document.querySelectorAll('#chips li').length", 1)
            await tab.evaluate("document.querySelector('#prompt').focus()")
            await tab.type("dog", enter=True)
            await tab.until("document.querySelector('#hint').textContent", "applying\u2026")
            await tab.type("bird", enter=True)
            opened.set()
            assert await asyncio.to_thread(until, lambda: run.prompts == ("cat", "dog", "bird"))

    asyncio.run(browse())


def test_a_browser_reconnects(tmp_path: Path) -> None:
    need_chromium()
    first = Run()

    async def browse() -> None:
        state = "document.querySelector('#state').dataset.state"
        async with headless_chromium.open_tab(tmp_path / "profile", first.server.url) as tab:
            await tab.until(state, "live")
            await tab.evaluate(  # the state `lost` is short
                f"window.states = []; new MutationObserver(() => states.push({state}))"
                ".observe(document.querySelector('#state'), {attributes: true})"
            )
            present(first.server._thread._loop).call_soon_threadsafe(  # like a broken network
                lambda: [each._transport.abort() for each in clients(first)]
            )
            await tab.until("states.join(' ').startsWith('lost live')")
            first.end()
            await asyncio.to_thread(first.server.close)
            await tab.until(state, "ended")
            with PreviewServer(first.server.address, lambda: ("dog",), print, dict) as second:  # the run starts again
                second.feed.count_frame((3, 4))
                await tab.until("document.querySelector('#chips li span').textContent", "dog")
                for part in ("tools", "thresholds"):  # this run has no controls
                    assert await tab.evaluate(f"document.querySelector('#{part}').hidden")
                await tab.until(state, "live")

    with first.server, contextlib.ExitStack() as ending:
        ending.callback(first.end)
        first.begin()
        asyncio.run(browse())


def test_picture_and_table_change_together(run: Run, tmp_path: Path) -> None:
    """The frame tells its number by its shade, and the table by a similarity, both modulo 32."""
    need_chromium()
    pair = (
        "(() => {const drawn = document.createElement('canvas').getContext('2d');"
        " drawn.drawImage(document.querySelector('#image'), 0, 0);"
        " const shade = Math.round(drawn.getImageData(2, 2, 1, 1).data[0] / 8);"
        " const cell = document.querySelector('#selected tbody td:nth-child(2)');"
        " return [shade, Math.round(Number(cell?.textContent) * 32)]})()"
    )
    collect = (
        f"new Promise((done) => {{const pairs = []; const look = () => {{pairs.push({pair});"
        " if (new Set(pairs.map(String)).size > 12) done(pairs); else requestAnimationFrame(look)}; look()})"
    )

    async def browse() -> None:
        async with headless_chromium.open_tab(tmp_path / "profile", run.server.url) as tab:
            await tab.until("document.querySelector('#selected tbody').rows.length", 1)
            pairs = await tab.evaluate(collect)
            assert [shade for shade, _ in pairs] == [similarity for _, similarity in pairs]

    run.numbered = True
    run.begin()
    asyncio.run(browse())


def test_a_paused_page_holds_and_saves_one_frame(run: Run, tmp_path: Path) -> None:
    need_chromium()
    saved = tmp_path / "saved"
    hint = "document.querySelector('#image-hint').textContent"
    rows = "document.querySelector('#selected tbody').textContent"

    async def read(name: str) -> bytes:
        path = saved / name
        assert await asyncio.to_thread(until, path.is_file)
        content = path.read_bytes()
        path.unlink()
        return content

    async def browse() -> tuple[int, bytes, bytes, bytes]:
        async with headless_chromium.open_tab(tmp_path / "profile", run.server.url) as tab:
            await tab.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(saved))
            await tab.until("document.querySelector('#pause').disabled", wanted=False)
            await tab.evaluate("document.querySelector('#save-image').click()")
            held = await tab.evaluate(hint)
            assert held.startswith("Paused at frame ")
            frame = int(held.split()[3].rstrip(".").replace(",", ""))
            picture = await read(f"frame-{frame}.jpg")
            row, drawn, made = await tab.evaluate(rows), run.server.feed.drawn, run.made
            assert await asyncio.to_thread(until, lambda: run.made > made + 100)
            assert await tab.evaluate(rows) == row
            assert run.server.feed.drawn <= drawn + 1  # nothing is drawn for it, except what it had requested before
            present(run.server._thread._loop).call_soon_threadsafe(
                lambda: [client._transport.abort() for client in clients(run)]
            )
            assert await asyncio.to_thread(until, lambda: run.app.shown.find(1) is None and len(clients(run)) == 1)
            await tab.evaluate("document.querySelector('#save-json').click()")
            line = await read(f"frame-{frame}.json")  # though the new connection knows no frame yet
            run.controls.set_regions([Region((20, 20, 120, 100)), Region((80, 60))])
            await tab.until("document.querySelectorAll('#drawn-list li').length", 2)
            await tab.evaluate("document.querySelector('#save-image').click()")
            marked = await read(f"frame-{frame}.jpg")
            await tab.evaluate("document.querySelector('#pause').click()")
            assert await tab.evaluate(hint) == ""
            await tab.until(f"{rows} !== '{row}'")
            return frame, picture, line, marked

    run.numbered = True
    run.begin()
    frame, *saved_jpegs, line_text, marked_jpeg = asyncio.run(browse())
    line = json.loads(line_text)
    assert line["frame"] == frame
    assert line["segments"][0]["mask"]["size"] == [120, 160]
    picture, marked = (
        present(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)) for jpeg in (*saved_jpegs, marked_jpeg)
    )
    assert round(picture[2, 2, 0] / 8) == frame % 32 == round(line["segments"][0]["similarity"] * 32)
    assert picture.shape == marked.shape
    assert np.abs(picture.astype(int) - marked)[18:22, 20:120].mean() > 20  # the box
    assert np.abs(marked[60, 80].astype(int) - (80, 185, 63)).max() < 40  # the point, green
