"""The page in a browser: a photo, prompts, boxes and points by mouse and finger, errors, the token, other formats."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from fastsam_trt import Pipeline
from fastsam_trt.serve import AccessRules
from support import headless_chromium
from support.colour_models import scene
from support.headless_chromium import Tab
from support.served import PHOTO, TOKEN, Served, colours, png, serving

IDLE = "document.querySelector('#busy').hidden && !document.querySelector('#result').hidden"
ROWS = "[...document.querySelectorAll('#selected tbody tr')].map((row) => row.cells[0].textContent).sort().join()"
ERROR = "document.querySelector('#error').textContent"


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    if headless_chromium.find_chromium() is None:
        pytest.skip(f"no browser: none of {', '.join(headless_chromium.NAMES)} is installed")
    with colours() as opened:
        yield opened


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(PHOTO)
    return path


def _browse(tmp_path: Path, served: Served, visit: Callable[[Tab], Awaitable[None]]) -> None:
    async def browse() -> None:
        async with headless_chromium.open_tab(tmp_path / "profile", served.server.url) as tab:
            await tab.look(1280, 900)
            await visit(tab)

    asyncio.run(browse())


async def _at(tab: Tab, x: float, y: float) -> tuple[float, float]:
    """A point of the viewport, px, for one of the photo, 0 to 1."""
    code = "(() => { const {x, y, width, height} = document.querySelector('#regions').getBoundingClientRect();"
    left, top, width, height = await tab.evaluate(f"{code} return [x, y, width, height]; }})()")
    return left + x * width, top + y * height


async def _pixel(tab: Tab, x: float, y: float) -> list[int]:
    """RGBA of the overlay at a point of the photo, 0 to 1."""
    return list(
        await tab.evaluate(
            "(() => { const canvas = document.querySelector('#overlay'); return [...canvas.getContext('2d')"
            f".getImageData({x} * canvas.width, {y} * canvas.height, 1, 1).data]; }})()"
        )
    )


def test_a_photo_is_segmented_and_chosen_from(tmp_path: Path, pipeline: Pipeline, photo_file: Path) -> None:
    async def visit(tab: Tab) -> None:
        await tab.until("document.querySelector('#model').textContent", "colours on onnxruntime, cpu, fp32")
        assert await tab.evaluate("document.querySelector('#select').disabled")
        await tab.choose_file("#file", photo_file)
        await tab.until(ROWS, "green,red")
        assert await tab.evaluate("document.querySelector('#count').textContent") == "2"
        inside, outside = await _pixel(tab, 0.24, 0.12), await _pixel(tab, 0.5, 0.95)
        assert 90 < inside[3] < 130
        assert outside == [0, 0, 0, 0]

        await tab.evaluate("document.querySelector('#prompt').focus()")
        await tab.type("red, blue", enter=True)
        await tab.until(ROWS, "red")
        await tab.type("<img src=x onerror=alert(1)>", enter=True)  # CLIP takes it, and it stays text
        await tab.until("document.querySelectorAll('#prompts li').length", 3)
        await tab.until(IDLE)
        command = await tab.evaluate("document.querySelector('#command').textContent")
        assert command.startswith("curl -F image=@photo.jpg -F 'prompts=red' -F 'prompts=blue' -F 'prompts=<img ")
        assert command.endswith(f"http://127.0.0.1:{served.port}/v1/segment")
        assert await tab.evaluate("document.images.length") == 1

        for _ in range(3):
            await tab.evaluate("document.querySelector('#prompts li button').click()")
        await tab.evaluate("document.querySelector('#not').focus()")
        await tab.type("green", enter=True)
        await tab.until(ROWS, "red")
        assert tab.faults == []

    with serving(pipeline) as served:
        _browse(tmp_path, served, visit)


@pytest.mark.parametrize("finger", [False, True], ids=["mouse", "finger"])
def test_boxes_and_points_are_drawn(tmp_path: Path, pipeline: Pipeline, photo_file: Path, finger: bool) -> None:
    async def visit(tab: Tab) -> None:
        await tab.look(*((390, 844) if finger else (1280, 900)), mobile=finger)
        if finger:
            await tab.call("Emulation.setTouchEmulationEnabled", enabled=True)
        await tab.choose_file("#file", photo_file)
        await tab.until(ROWS, "green,red")
        await tab.evaluate("document.querySelector('[data-tool=box]').click()")
        await tab.drag(await _at(tab, 0.4, 0.4), await _at(tab, 0.05, 0.05), finger=finger)
        await tab.until(ROWS, "red")
        assert await tab.evaluate("document.querySelectorAll('.region.box').length") == 1
        command = await tab.evaluate("document.querySelector('#command').textContent")
        box = [float(edge) for edge in command.partition("boxes=[")[2].partition("]")[0].split(",")]
        np.testing.assert_allclose(box, [12.8, 12.8, 102.4, 102.4], atol=2)

        await tab.evaluate("document.querySelector('[data-tool=point]').click()")
        tap = await _at(tab, 0.7, 0.7)
        await tab.drag(tap, tap, finger=finger)
        await tab.until(ROWS, "green,red")
        await tab.evaluate("document.querySelector('#undo').click()")
        await tab.until(ROWS, "red")
        await tab.evaluate("document.querySelector('[data-tool=exclude]').click()")
        tap = await _at(tab, 0.2, 0.2)
        await tab.drag(tap, tap, finger=finger)
        await tab.until("document.querySelector('#count').textContent", "nothing")
        await tab.evaluate("document.querySelector('#clear').click()")
        await tab.until(ROWS, "green,red")

        await tab.evaluate("document.querySelector('[data-tool=exclude]').click()")  # no tool: a tap chooses
        tap = await _at(tab, 0.2, 0.2)
        await tab.drag(tap, tap, finger=finger)
        await tab.until("document.querySelector('#selected tr.chosen')?.cells[0].textContent", "red")
        assert await tab.evaluate("document.documentElement.scrollWidth") == (390 if finger else 1280)
        assert tab.faults == []

    with serving(pipeline) as served:
        _browse(tmp_path, served, visit)


def test_masks_are_decoded_as_pycocotools_does(tmp_path: Path, pipeline: Pipeline) -> None:
    """Noise has runs of all lengths; it is compared pixel by pixel at its own size."""
    mask = (np.random.default_rng(0).random((37, 53)) < 0.5) & (np.arange(53) % 7 > 0)
    counts = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    code = (
        "import('/overlay.js').then(({SegmentMap}) => Array.from(new SegmentMap("
        f"[{{mask: {{counts: {counts!r}}}}}], [37, 53], 53, 37).index))"
    )

    async def visit(tab: Tab) -> None:
        found = np.array(await tab.evaluate(code)).reshape(37, 53)
        np.testing.assert_array_equal(found == 0, mask)

    with serving(pipeline) as served:
        _browse(tmp_path, served, visit)


def test_problems_are_shown_and_the_next_request_is_answered(
    tmp_path: Path, pipeline: Pipeline, photo_file: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(PHOTO[:300])

    async def visit(tab: Tab) -> None:
        await tab.choose_file("#file", broken)
        await tab.until(f"{ERROR}.includes('cut short')")
        await tab.choose_file("#file", photo_file)
        await tab.until(ROWS, "green,red")
        assert await tab.evaluate("document.querySelector('#error').hidden")
        await tab.evaluate("document.querySelector('#prompt').focus()")
        await tab.type("!?", enter=True)
        await tab.until(f"{ERROR}.includes('a letter, digit or symbol')")
        assert await tab.evaluate("document.querySelector('#result').hidden")
        served.server.close()
        await tab.evaluate("document.querySelector('#select').click()")
        await tab.until(ERROR, "No connection to the server.")

    with serving(pipeline) as served:
        _browse(tmp_path, served, visit)


def test_the_token_is_asked_for_and_remembered(tmp_path: Path, pipeline: Pipeline, photo_file: Path) -> None:
    async def visit(tab: Tab) -> None:
        await tab.until("document.querySelector('#token-part').hidden", wanted=False)
        assert "expected Bearer" in await tab.evaluate(ERROR)
        await tab.evaluate("document.querySelector('#token').focus()")
        await tab.type(TOKEN, enter=True)
        await tab.until("document.querySelector('#model').textContent.startsWith('colours')")
        await tab.choose_file("#file", photo_file)
        await tab.until(ROWS, "green,red")
        assert TOKEN not in await tab.evaluate("document.querySelector('#command').textContent")
        await tab.call("Page.reload")
        await tab.until("document.querySelector('#model')?.textContent.startsWith('colours')")

    with serving(pipeline, AccessRules(token=TOKEN)) as served:
        _browse(tmp_path, served, visit)


def test_a_photo_that_the_browser_can_not_show_comes_back_drawn(tmp_path: Path, pipeline: Pipeline) -> None:
    file = io.BytesIO()
    Image.fromarray(scene(("red", 1, 1), ("green", 5, 5))[..., ::-1]).save(file, "TIFF")
    tiff = tmp_path / "photo.tif"
    tiff.write_bytes(file.getvalue())

    async def visit(tab: Tab) -> None:
        await tab.choose_file("#file", tiff)
        await tab.until(ROWS, "green,red")
        await tab.until("document.querySelector('#image').naturalWidth", 256)
        assert await tab.evaluate("document.querySelector('#overlay').hidden")
        await tab.evaluate("document.querySelector('[data-tool=box]').click()")
        await tab.drag(await _at(tab, 0.05, 0.05), await _at(tab, 0.4, 0.4))
        await tab.until(ROWS, "red")

    with serving(pipeline) as served:
        _browse(tmp_path, served, visit)


def test_a_dropped_photo_is_taken(tmp_path: Path, pipeline: Pipeline) -> None:
    data = list(png(scene(("red", 1, 1))))
    drop = (
        "(() => { const data = new DataTransfer();"
        f" data.items.add(new File([new Uint8Array({data})], 'x.png', {{type: 'image/png'}}));"
        " document.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})); })()"
    )

    async def visit(tab: Tab) -> None:
        await tab.evaluate(drop)
        await tab.until(ROWS, "red")

    with serving(pipeline) as served:
        _browse(tmp_path, served, visit)


def test_the_page_loads_nothing_from_elsewhere() -> None:
    kinds = {"": "text/html", "css": "text/css", "js": "text/javascript"}
    names = ("", "base.css", "page.css", "page.js", "overlay.js", "prompt_chips.js", "region_editor.js")
    with serving(None) as served:
        for name in names:
            reply = served.get(f"/{name}")
            assert reply.headers["Content-Type"] == f"{kinds[name.partition('.')[2]]}; charset=utf-8"
            text = reply.body.decode().replace("http://www.w3.org/2000/svg", "")
            assert "://" not in text
            assert "innerHTML" not in text
