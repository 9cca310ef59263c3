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

    async def drag(self, start: tuple[float, float], end: tuple[float, float], *, finger: bool = False) -> None:
        """Press at a point of the viewport, px, move to another, and release; with the mouse or a finger."""
        path = [[old + (new - old) * part for old, new in zip(start, end, strict=True)] for part in (0, 0.3, 0.7, 1)]
        for number, (x, y) in enumerate([*path, path[-1]]):
            kind = 0 if number == 0 else 2 if number == len(path) else 1
            if finger:
                touches = [] if kind == 2 else [{"x": x, "y": y}]
                name = ("touchStart", "touchMove", "touchEnd")[kind]
                await self.call("Input.dispatchTouchEvent", type=name, touchPoints=touches)
            else:
                name = ("mousePressed", "mouseMoved", "mouseReleased")[kind]
                await self.call("Input.dispatchMouseEvent", type=name, x=x, y=y, button="left", buttons=1, clickCount=1)

    async def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in an input."""
        found = await self.call("Runtime.evaluate", expression=f"document.querySelector({selector!r})")
        await self.call("DOM.setFileInputFiles", files=[str(path)], objectId=found["result"]["objectId"])

    async def look(self, width: int, height: int, *, dark: bool = False, mobile: bool = False) -> None:
        """Set the viewport, px, and the colours that the user prefers."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )
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


@contextlib.asynccontextmanager
async def open_tab(profile: Path, url: str) -> AsyncIterator[Tab]:
    """Start Chromium with a new profile, and open a page in it."""
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
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [page for page in await answer.json() if page["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = await Tab(socket).open(url)
                try:
                    yield tab
                finally:
                    await tab.close()
    finally:
        process.terminate()
        process.wait(60)
