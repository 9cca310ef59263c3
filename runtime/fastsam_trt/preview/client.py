"""Send the status and images to one client of the preview, as fast as it reads them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import WSMsgType, web

from fastsam_trt.preview.feed import Feed
from fastsam_trt.preview.shown_images import ShownImages
from fastsam_trt.preview.status import Status

STATUS_EVERY_S = 0.5
HEARTBEAT_S = 15.0  # a client that vanished is dropped after one and a half of these
_SEND_WITHIN_S = 10.0
_DISCONNECT_WITHIN_S = 1.0
_LONGEST_MESSAGE = 64  # bytes; clients send "next" only
_BUFFER_LIMIT = 16 * 1024  # bytes; beyond this, sending waits for the client

_log = logging.getLogger(__name__)


class Client:
    """Sends the status twice a second, and an image whenever the client requests one with `next`.

    So at most one image is on its way to a client, and a client that stopped reading gets no more.
    """

    def __init__(self, feed: Feed, status: Status, shown: ShownImages) -> None:
        self._feed = feed
        self._status = status
        self._shown = shown
        self._requested = asyncio.Event()
        self._sending = asyncio.Lock()
        self._transport: asyncio.Transport | None = None
        self._socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S,
            timeout=_DISCONNECT_WITHIN_S,
            compress=False,
            max_msg_size=_LONGEST_MESSAGE,
            writer_limit=_BUFFER_LIMIT,
        )

    @property
    def buffered(self) -> int:
        """Bytes that wait in this process for the client to read them."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve the client until it disconnects."""
        self._transport = request.transport
        await self._socket.prepare(request)
        tasks = [asyncio.create_task(self._send_status()), asyncio.create_task(self._send_images())]
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT and message.data == "next":
                    self._requested.set()
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    _log.error("the preview lost a client", exc_info=outcome)
        return self._socket

    async def disconnect(self) -> None:
        """Send a last status and close the connection; abort it if the client does not read."""
        if not self._socket.prepared:
            self._abort()
            return
        try:
            async with asyncio.timeout(_DISCONNECT_WITHIN_S):
                await self._socket.send_str(self._status.text())
                await self._socket.close()
        except (TimeoutError, ConnectionError):
            self._abort()

    async def _send_status(self) -> None:
        while True:
            await self._send(lambda: self._socket.send_str(self._status.text()))
            await asyncio.sleep(STATUS_EVERY_S)

    async def _send_images(self) -> None:
        while True:
            await self._requested.wait()
            self._requested.clear()
            image = await self._feed.next_image()
            self._shown.add(self, image)
            await self._send(partial(self._socket.send_bytes, image.message))

    async def _send(self, send: Callable[[], Awaitable[None]]) -> None:
        """Send one message at a time, so that no status queues up behind an image that is not read."""
        try:
            async with asyncio.timeout(_SEND_WITHIN_S), self._sending:
                await send()
        except (TimeoutError, ConnectionError):
            self._abort()

    def _abort(self) -> None:
        with contextlib.suppress(RuntimeError):
            if self._transport is not None:
                self._transport.abort()
