"""Test the preview in a browser: its pictures and statistics, changes of prompts, and reconnection."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastsam_trt.errors import ClipNotFoundError
from fastsam_trt.preview import PreviewServer
from support import headless_chromium
from support.preview_run import Run, clients, serving
from support.typed import present
from support.waiting import until


@pytest.fixture
def run() -> Iterator[Run]:
    with serving() as made:
        yield made


def need_chromium() -> None:
    if headless_chromium.find_chromium() is None:
        pytest.skip(f"no browser: none of {', '.join(headless_chromium.NAMES)} is installed")


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
                await tab.until(state, "live")

    with first.server, contextlib.ExitStack() as ending:
        ending.callback(first.end)
        first.begin()
        asyncio.run(browse())
