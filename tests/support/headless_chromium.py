"""A headless Chromium that is driven through its DevTools protocol, with aiohttp's client and nothing else."""

# ruff: noqa: ASYNC220, ASYNC240 - files and processes of a test may block its loop

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
    "--no-first-run", "--remote-debugging-port=0",
)  # fmt: skip


def find_chromium() -> str | None:
    """Its path; None where it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Tab:
    """One page; what it threw and what it was refused is kept."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.faults: list[str] = []
        self._socket = socket
        self._calls: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol."""
        number = len(self._calls)
        self._calls[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        answer = await asyncio.wait_for(self._calls[number], 30)
        assert "error" not in answer, answer
        return answer["result"]

    async def evaluate(self, code: str) -> Any:
        """The value of an expression, awaited where it is a promise."""
        answer = await self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, code: str, wanted: Any = True, within_s: float = 60) -> Any:
        """Wait until an expression has a value."""
        async with asyncio.timeout(within_s):
            while (found := await self.evaluate(code)) != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return found

    async def type(self, text: str, *, enter: bool = False) -> None:
        """Type into what has the focus."""
        await self.call("Input.insertText", text=text)
        if enter:
            for kind in ("keyDown", "keyUp"):
                await self.call("Input.dispatchKeyEvent", type=kind, key="Enter", windowsVirtualKeyCode=13, text="\r")

    async def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in an input."""
        found = await self.call("Runtime.evaluate", expression=f"document.querySelector({selector!r})")
        await self.call("DOM.setFileInputFiles", files=[str(path)], objectId=found["result"]["objectId"])

    async def press(self, *keys: str, shift: bool = False) -> None:
        """Press keys, such as `Tab`, `ArrowLeft` or ` `, one after the other."""
        for key in keys:
            code = {
                "Tab": 9,
                "Enter": 13,
                "Escape": 27,
                " ": 32,
                "Home": 36,
                "ArrowLeft": 37,
                "ArrowUp": 38,
                "ArrowRight": 39,
                "ArrowDown": 40,
            }.get(key, 0)
            pressed = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
            text = {"Enter": "\r", " ": " "}.get(key, "")
            await self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **pressed)
            await self.call("Input.dispatchKeyEvent", type="keyUp", **pressed)

    async def mouse(self, kind: str, x: float, y: float) -> None:
        """Press, move or release the left button of the mouse: `Pressed`, `Moved`, `Released`; css px of the window."""
        held = 0 if kind == "Released" else 1
        await self.call(
            "Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, button="left", buttons=held, clickCount=1
        )

    async def drag(self, *points: tuple[float, float], finger: bool = False) -> None:
        """Press at a point of the window, css px, move to others, and release; with the mouse or a finger."""
        if finger:
            await self.touch("Start", points[0])
            for point in points[1:]:
                await self.touch("Move", point)
            await self.touch("End")
            return
        await self.mouse("Pressed", *points[0])
        for point in points[1:]:
            await self.mouse("Moved", *point)
        await self.mouse("Released", *points[-1])

    async def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """Put fingers down, move them or lift all: `Start`, `Move`, `End`, `Cancel`; css px of the window."""
        fingers = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        await self.call("Input.dispatchTouchEvent", type=f"touch{kind}", touchPoints=fingers)

    async def look(
        self, width: int, height: int, *, dark: bool = False, mobile: bool = False, device_pixels: float = 1
    ) -> None:
        """Set the viewport, css px, the colours that the user prefers, and the pixels of the screen per css px."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=device_pixels, mobile=mobile,
        )  # fmt: skip
        await self.call("Emulation.setTouchEmulationEnabled", enabled=mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def screenshot(self, path: Path) -> None:
        """Write what is seen as PNG."""
        path.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot"))["data"]))

    async def open(self, url: str) -> Self:
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState", "complete")
        return self

    async def close(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                self._calls[told["id"]].set_result(told)
            elif told["method"] == "Runtime.exceptionThrown":
                self.faults.append(str(told["params"]["exceptionDetails"]))
            elif told["method"] == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
                self.faults.append(told["params"]["entry"]["text"])


class Browser:
    """A running Chromium."""

    def __init__(self, session: aiohttp.ClientSession, port: str, ending: contextlib.AsyncExitStack) -> None:
        self._session, self._port, self._ending = session, port, ending

    async def tab(self, url: str) -> Tab:
        """Open a page in a tab that is taken for visible, as all of them are."""
        async with self._session.put(f"http://127.0.0.1:{self._port}/json/new?about:blank") as answer:
            target = await answer.json()
        socket = await self._ending.enter_async_context(
            self._session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0)
        )
        tab = Tab(socket)
        self._ending.push_async_callback(tab.close)
        await tab.call("Emulation.setFocusEmulationEnabled", enabled=True)
        return await tab.open(url)


@contextlib.asynccontextmanager
async def open_browser(profile: Path) -> AsyncIterator[Browser]:
    """Start Chromium with a new profile."""
    program = find_chromium()
    assert program is not None
    process = subprocess.Popen(
        [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port_file = profile / "DevToolsActivePort"
        async with asyncio.timeout(60):
            while not port_file.is_file() or "\n" not in port_file.read_text():
                assert process.poll() is None, "Chromium ended"
                await asyncio.sleep(0.05)
        port = port_file.read_text().split("\n")[0]
        async with aiohttp.ClientSession() as session, contextlib.AsyncExitStack() as ending:
            yield Browser(session, port, ending)
    finally:
        process.terminate()
        process.wait(60)


@contextlib.asynccontextmanager
async def open_tab(profile: Path, url: str) -> AsyncIterator[Tab]:
    """Start Chromium with a new profile, and open a page in it."""
    async with open_browser(profile) as browser:
        yield await browser.tab(url)
