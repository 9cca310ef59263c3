"""Test drawing on the preview's picture in a browser: mouse, fingers, keyboard, several viewers, lost connections."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastsam_trt.errors import PromptError
from fastsam_trt.preview import LiveThresholds, Region
from support.headless_chromium import Tab, open_browser, open_tab
from support.preview_run import Run, clients, need_chromium, serving
from support.typed import present
from support.waiting import until

_RECT = (
    "(() => {const r = document.querySelector('#regions').getBoundingClientRect();"
    " return [r.x, r.y, r.width, r.height]})()"
)
_DRAWN = "(() => {const r = document.querySelector('#regions .box').getBoundingClientRect(); return [r.x, r.width]})()"
_LISTED = "[...document.querySelectorAll('#drawn-list span')].map((item) => item.textContent).join('; ')"
_SHAPES = "[...document.querySelectorAll('#regions .region:not(.below)')].map((shape) => shape.tagName).join(' ')"


@pytest.fixture
def run() -> Iterator[Run]:
    need_chromium()
    with serving() as made:
        made.begin()
        yield made


async def at(tab: Tab, run: Run, x: float, y: float) -> tuple[float, float]:
    """Where a point of the frame is in the window, css px."""
    left, top, width, height = await tab.evaluate(_RECT)
    return left + x / run.size[1] * width, top + y / run.size[0] * height


async def shown(tab: Tab, run: Run) -> None:
    await tab.until("document.querySelector('#regions').getAttribute('viewBox')", f"0 0 {run.size[1]} {run.size[0]}")
    await tab.until("document.querySelector('#tools').hidden", wanted=False)


async def choose(tab: Tab, tool: str) -> None:
    await tab.evaluate(f"document.querySelector('[data-tool={tool}]').click()")


async def wait_for(run: Run, *regions: Region, within_px: float = 0.0) -> None:
    """Wait until the run has these regions, in any order of boxes and points."""

    def has() -> bool:
        found = run.controls.regions
        return len(found) == len(regions) and all(
            one.label == other.label and one.at == pytest.approx(other.at, abs=within_px)
            for one, other in zip(found, regions, strict=True)
        )

    assert await asyncio.to_thread(until, has), (run.controls.regions, regions)


def test_boxes_and_points_are_drawn_with_mouse_fingers_and_keys(run: Run, tmp_path: Path) -> None:
    async def draw() -> None:
        async with open_tab(tmp_path / "profile", run.server.url) as tab:
            await tab.look(1000, 700)
            await shown(tab, run)
            start, end = await at(tab, run, 30, 20), await at(tab, run, 90, 80)
            await tab.drag(start, end)  # no tool is chosen
            await choose(tab, "box")
            start, end = await at(tab, run, 30, 20), await at(tab, run, 90, 80)  # the hint has moved the picture
            await tab.drag(start, start)  # no box
            await tab.drag(start, (start[0] + 3, start[1] + 3))
            await tab.drag(start, (end[0], start[1]))
            await tab.drag(end, start)
            box = Region((30, 20, 90, 80))
            await wait_for(run, box, within_px=0.5)
            await tab.until(_SHAPES, "rect")
            assert await tab.evaluate(_LISTED) == "box 30, 20 to 90, 80"

            await tab.drag(await at(tab, run, 100, 60), (start[0], start[1] + 40), (-300, 9000))  # leaves the window
            low = Region((0, 60, 100, 120))
            await wait_for(run, box, low, within_px=0.5)

            await tab.mouse("Pressed", *start)  # a finger while the mouse draws is ignored
            await tab.mouse("Moved", *end)
            await tab.call("Emulation.setTouchEmulationEnabled", enabled=True)
            await tab.touch("Start", await at(tab, run, 150, 110))
            await tab.touch("Move", await at(tab, run, 120, 100))
            await tab.touch("End")
            await tab.mouse("Moved", *await at(tab, run, 60, 40))
            await tab.mouse("Released", *await at(tab, run, 60, 40))
            small = Region((30, 20, 60, 40))
            await wait_for(run, box, low, small, within_px=0.5)
            await tab.touch("Start", *[await at(tab, run, x, 10) for x in (10, 140)])  # the first of two fingers draws
            await tab.touch("Move", *[await at(tab, run, x, 50) for x in (40, 90)])
            await tab.touch("End")
            finger = Region((10, 10, 40, 50))
            await wait_for(run, box, low, small, finger, within_px=0.5)
            await tab.touch("Start", await at(tab, run, 10, 10))
            await tab.touch("Move", await at(tab, run, 50, 50))
            await tab.touch("Cancel")
            await choose(tab, "exclude")
            await tab.drag(await at(tab, run, 159.9, 5))
            not_this = Region((159.9, 5), 0)
            await wait_for(run, box, low, small, finger, not_this, within_px=0.5)
            for left in ((box, low, small, finger), (box, low, small)):
                await tab.evaluate("document.querySelector('#undo').click()")
                await wait_for(run, *left, within_px=0.5)
            await tab.evaluate("document.querySelector('#drawn-list button').click()")
            await wait_for(run, low, small, within_px=0.5)
            assert await tab.evaluate("document.activeElement.parentElement.parentElement.id") == "drawn-list"
            await tab.evaluate("document.querySelector('#clear').click()")
            await wait_for(run)
            assert await tab.evaluate(
                "document.querySelector('#undo').disabled && document.querySelector('#clear').disabled"
            )

            await choose(tab, "box")
            await tab.evaluate("document.querySelector('#regions').focus()")
            await tab.press(
                "ArrowLeft", "Enter", "ArrowRight", "ArrowDown", "Escape", "Enter", "ArrowRight", "ArrowDown"
            )
            hint = "document.querySelector('#draw-hint').textContent"
            assert await tab.evaluate(hint) == "x 85, y 65. Enter sets the other corner."
            await tab.press("ArrowRight", shift=True)
            await tab.press("Enter")
            await wait_for(run, Region((80, 60, 85.5, 65)))
            await choose(tab, "point")
            await tab.evaluate("document.querySelector('#regions').focus()")
            await tab.press(" ")
            await wait_for(run, Region((80, 60, 85.5, 65)), Region((80, 60)))
            assert tab.faults == []

    asyncio.run(draw())


def test_coordinates_are_those_of_the_frame_whatever_the_window(run: Run, tmp_path: Path) -> None:
    """A portrait phone video, 4K, a tiny frame, a strip; on a phone and a desktop screen, scrolled or not."""

    async def draw() -> None:
        async with open_tab(tmp_path / "profile", run.server.url) as tab:
            for mobile in (True, False):
                await tab.look(
                    390 if mobile else 1400, 844 if mobile else 500, mobile=mobile, device_pixels=3 if mobile else 1.25
                )
                for size in ((1920, 1080), (2160, 3840), (6, 8), (300, 4)):
                    run.size = size
                    await draw_box(tab, mobile=mobile)

    async def draw_box(tab: Tab, *, mobile: bool) -> None:
        height, width = run.size
        await shown(tab, run)
        await tab.evaluate("scrollTo(0, 40)")
        await choose(tab, "box")
        left, _, shown_width, shown_height = await tab.evaluate(_RECT)
        assert shown_width / shown_height == pytest.approx(width / height, rel=0.02)
        start, end = [await at(tab, run, width * part, height * part) for part in (0.25, 0.75)]
        await tab.drag(start, end, finger=mobile)
        box = Region((width * 0.25, height * 0.25, width * 0.75, height * 0.75))
        await wait_for(run, box, within_px=1.5 * width / shown_width + 0.1)
        x, box_width = await tab.evaluate(_DRAWN)
        assert x == pytest.approx(left + shown_width / 4, abs=3)
        assert box_width == pytest.approx(shown_width / 2, abs=5)
        await tab.evaluate("document.querySelector('#clear').click()")
        await wait_for(run)
        await choose(tab, "box")  # put it away

    asyncio.run(draw())


def test_two_viewers_and_a_lost_connection(run: Run, tmp_path: Path) -> None:
    async def drag(tab: Tab, *points: tuple[float, float]) -> None:
        await tab.drag(*[await at(tab, run, *point) for point in points])

    async def browse() -> None:
        async with open_browser(tmp_path / "profile") as browser:
            one, other = await browser.tab(run.server.url), await browser.tab(run.server.url)
            for tab in (one, other):
                await tab.look(1000, 700)
                await shown(tab, run)
                await choose(tab, "box")
            await asyncio.gather(drag(one, (10, 10), (40, 40)), drag(other, (60, 60), (100, 100)))
            for tab in (one, other):
                await tab.until("document.querySelectorAll('#drawn-list li').length", 2)
                await tab.until(_SHAPES, "rect rect")
            await one.evaluate("document.querySelector('#undo').click()")  # its own, though the other drew last
            await wait_for(run, Region((60, 60, 100, 100)), within_px=0.5)
            await other.until(_LISTED, "box 60, 60 to 100, 100")
            assert await one.evaluate("document.querySelector('#undo').disabled")

            await one.evaluate("document.querySelector('#conf').focus()")
            await one.press(*["ArrowRight"] * 5)
            await other.until("document.querySelector('#conf-value').textContent", "0.3")
            await other.evaluate("document.querySelector('#threshold').focus()")
            await other.press("Home")
            await one.until("document.querySelector('#threshold').value", "0")
            assert run.controls.thresholds == LiveThresholds(0.3, 0)

            await one.mouse("Pressed", *await at(one, run, 20, 20))
            await one.mouse("Moved", *await at(one, run, 50, 50))
            states = "document.querySelector('#state').dataset.state"
            await one.call("Network.enable")
            await one.call(
                "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
            )
            present(run.server._thread._loop).call_soon_threadsafe(
                lambda: [client._transport.abort() for client in clients(run)]
            )
            await one.until(states, "lost")
            await one.mouse("Moved", *await at(one, run, 80, 70))
            await one.mouse("Released", *await at(one, run, 80, 70))
            await one.until("document.querySelector('#drawn-waiting').hidden", wanted=False)
            assert await one.evaluate(_SHAPES) == "rect rect"  # it stays visible
            assert len(run.controls.regions) == 1
            await one.call(
                "Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1
            )
            await wait_for(run, Region((60, 60, 100, 100)), Region((20, 20, 80, 70)), within_px=0.5)
            await other.until("document.querySelectorAll('#drawn-list li').length", 2)
            await one.until("document.querySelector('#drawn-waiting').hidden")

            run.size = (60, 80)  # the stream changes; what was drawn far right lies outside
            await shown(one, run)
            await drag(one, (50, 40), (70, 50))
            await wait_for(
                run, Region((60, 60, 100, 100)), Region((20, 20, 80, 70)), Region((50, 40, 70, 50)), within_px=0.5
            )

    asyncio.run(browse())


def test_refused_regions_vanish_and_the_reason_is_shown(run: Run, tmp_path: Path) -> None:
    async def browse() -> None:
        async with open_tab(tmp_path / "profile", run.server.url) as tab:
            await tab.look(1000, 700)
            await shown(tab, run)
            run.controls.error = PromptError("expected fewer")
            await choose(tab, "point")
            await tab.drag(await at(tab, run, 10, 10))
            await tab.until("document.querySelector('#drawn-error').textContent", "expected fewer")
            assert await tab.evaluate(_SHAPES) == ""
            await tab.until("document.querySelector('#conf-value').textContent", "0.25")
            await tab.evaluate("document.querySelector('#conf').focus()")
            await tab.press("ArrowRight")
            await tab.until("document.querySelector('#thresholds-error').textContent", "expected fewer")
            await tab.until("document.querySelector('#conf-value').textContent", "0.25")

    asyncio.run(browse())
