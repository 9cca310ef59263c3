"""The feed: frames in from the run, pictures out to the clients that wait for one, and nothing that piles up."""

from __future__ import annotations

import asyncio
import logging
import time

from fastsam_trt.preview.background import Background
from fastsam_trt.preview.jpeg import Picture, make_picture
from fastsam_trt.results.result import Result

MOST_A_SECOND = 15
_DRAWN_WITHIN_S = 1.0

_log = logging.getLogger(__name__)


class Feed:
    """Draws a frame when a client waits for one, at most 15 times a second, one at a time.

    The run's thread asks `wanted` and calls `offer`, and `saw_frame` and `end` as the run goes on; all else belongs to
    the event loop. Drawing and encoding run on another thread than the run's: OpenCV gives up the interpreter's lock
    for most of that time, and the run never waits for it.

    Attributes:
        wanted: Whether a frame would be drawn now.
        picture: The one drawn last; None before the first, and after the last client has left.
        last_s: When the run's last frame came, on `time.perf_counter`'s clock; None before the first.
        gap_s: How long frames lie apart, smoothed.
        ended: Whether the run is over.
        drawn: Pictures that were drawn.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.picture: Picture | None = None
        self.last_s: float | None = None
        self.gap_s = 0.0
        self.ended = False
        self.drawn = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Future[Picture]] = set()
        self._task: asyncio.Task[None] | None = None
        self._drawing = Background("preview drawing")

    def saw_frame(self) -> None:
        """Count a frame of the run, drawn or not."""
        now = time.perf_counter()
        if self.last_s is not None:
            self.gap_s += 0.2 * (now - self.last_s - self.gap_s)
        self.last_s = now
        self.ended = False

    def offer(self, result: Result) -> None:
        """Give a frame to draw, its masks decoded; returns at once."""
        loop = self._loop
        self.wanted = False
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._take, result)
            except RuntimeError:  # the server was closed in between
                _log.debug("a frame came after the preview was closed")

    def end(self) -> None:
        """Say that no frame will come."""
        self.ended = True

    def open(self) -> None:
        """Serve the running event loop."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Want nothing more, and wait a moment for a picture that is being drawn."""
        self._loop = None
        self.wanted = False
        self._drawing.close(_DRAWN_WITHIN_S)

    def clear(self) -> None:
        """Forget the last picture: nobody watches."""
        self.picture = None

    async def next_picture(self) -> Picture:
        """Wait for the next picture that is drawn."""
        waiting: asyncio.Future[Picture] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        self._settle()
        try:
            return await waiting
        finally:
            self._waiting.discard(waiting)
            self._settle()

    def _settle(self) -> None:
        self.wanted = self._loop is not None and self._task is None and bool(self._waiting)

    def _take(self, result: Result) -> None:
        if self._task is None and self._waiting and self._loop is not None:
            self._task = self._loop.create_task(self._draw(result))
        else:
            self._settle()

    async def _draw(self, result: Result) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + 1 / MOST_A_SECOND
        try:
            self.picture = await self._drawing.call(make_picture, result)
            self.drawn += 1
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(self.picture)
        except Exception:  # noqa: BLE001 - the run must not end because the preview can't draw
            _log.exception("the preview could not draw a frame")
        del result  # not kept alive while it paces itself
        await asyncio.sleep(due_s - loop.time())
        self._task = None
        self._settle()
