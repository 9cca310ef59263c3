"""Draw frames of the run for the clients that wait for an image."""

from __future__ import annotations

import asyncio
import logging
import time

from fastsam_trt.drawing.style import DrawStyle
from fastsam_trt.preview.jpeg import LONGEST_PX, OverlayImage, encode_overlay
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.shared_overlay import Overlay
from fastsam_trt.sources import Frame
from fastsam_trt.web.background_threads import BackgroundThreads

MOST_PER_SECOND = 15
_CLOSE_WITHIN_S = 1.0

_log = logging.getLogger(__name__)


class Feed:
    """Draws a frame when a client waits for one, at most 15 times per second, one at a time.

    The run's thread reads `wanted` and calls `offer`, `count_frame` and `end`; everything else is for the event loop.
    Drawing and encoding happen on a separate thread: OpenCV releases the interpreter lock for most of that time,
    and the run never waits for it.

    Attributes:
        wanted: Whether an offered frame would be drawn now.
        size: (H, W) of the last frame of the run, px; None before the first.
        last_s: When the last frame of the run came, on `time.perf_counter`'s clock; None before the first.
        gap_s: Time between frames, smoothed, s.
        ended: Whether the run is over.
        drawn: Number of images that were drawn.
    """

    def __init__(self, style: DrawStyle | None = None) -> None:
        """Begin without an image.

        Args:
            style: What to draw, and how; None: the default.
        """
        self._overlay = Overlay(style, LONGEST_PX)
        self.wanted = False
        self.size: tuple[int, int] | None = None
        self.last_s: float | None = None
        self.gap_s = 0.0
        self.ended = False
        self.drawn = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._requests: set[asyncio.Future[OverlayImage]] = set()
        self._task: asyncio.Task[None] | None = None
        self._drawing = BackgroundThreads("preview drawing")

    def count_frame(self, size: tuple[int, int]) -> None:
        """Note that the run has a new frame of (H, W) px, drawn or not."""
        now = time.perf_counter()
        self.size = size
        if self.last_s is not None:
            self.gap_s += 0.2 * (now - self.last_s - self.gap_s)
        self.last_s = now
        self.ended = False

    def offer(self, frame: Frame, result: Result) -> None:
        """Offer a frame and its result to draw, with the masks decoded; returns at once."""
        loop = self._loop
        self.wanted = False
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._take, frame, result)
            except RuntimeError:  # the server was closed meanwhile
                _log.debug("a frame came after the preview was closed")

    def end(self) -> None:
        """Note that no more frames will come."""
        self.ended = True

    def open(self) -> None:
        """Attach to the running event loop."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Draw no more, and wait up to a second for the image that is being drawn."""
        self._loop = None
        self.wanted = False
        self._drawing.close(_CLOSE_WITHIN_S)

    async def next_image(self) -> OverlayImage:
        """Wait for the next image."""
        request: asyncio.Future[OverlayImage] = asyncio.get_running_loop().create_future()
        self._requests.add(request)
        self._update_wanted()
        try:
            return await request
        finally:
            self._requests.discard(request)
            self._update_wanted()

    def _update_wanted(self) -> None:
        self.wanted = self._loop is not None and self._task is None and bool(self._requests)

    def _take(self, frame: Frame, result: Result) -> None:
        if self._task is None and self._requests and self._loop is not None:
            self._task = self._loop.create_task(self._draw(frame, result))
        else:
            self._update_wanted()

    async def _draw(self, frame: Frame, result: Result) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + 1 / MOST_PER_SECOND
        try:
            image = await self._drawing.call(encode_overlay, self.drawn + 1, frame, result, self._overlay)
            self._overlay.forget()  # nothing else shows it
            self.drawn += 1
            for request in self._requests:
                if not request.done():
                    request.set_result(image)
            del image  # clients that may show it keep it
        except Exception:  # noqa: BLE001 - an image that fails must not end the run
            _log.exception("the preview could not draw a frame")
        del frame, result  # do not keep the pixels while waiting
        await asyncio.sleep(due_s - loop.time())
        self._task = None
        self._update_wanted()
