"""Serve the page of the preview, its WebSocket, what is known of frames, and changes of the settings.

It uses aiohttp: one well maintained package with wheels, which has the server, WebSockets and, for the tests, a client.
With starlette, the server (uvicorn) and the WebSockets are separate packages with separate settings. bottle and
`http.server` have no WebSockets and use a thread per client.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from fastsam_trt.preview.change_requests import read_prompts, read_regions, read_thresholds
from fastsam_trt.preview.changes import LONGEST_BODY, Changes
from fastsam_trt.preview.client import Client
from fastsam_trt.preview.feed import Feed
from fastsam_trt.preview.settings import Settings
from fastsam_trt.preview.shown_images import ShownImages
from fastsam_trt.preview.status import Status
from fastsam_trt.web.address import Address
from fastsam_trt.web.background_threads import BackgroundThreads
from fastsam_trt.web.connections import Connections
from fastsam_trt.web.origin_guard import OriginGuard
from fastsam_trt.web.page_files import PageFiles, add_security_headers

MOST_CLIENTS = 16
_CLOSE_WITHIN_S = 0.2

PAGE = PageFiles(
    "fastsam_trt.preview",
    (
        "page.html", "page.css", "page.js", "connection.js", "drawn_regions.js", "post.js", "prompts.js",
        "shown_image.js", "statistics.js", "thresholds.js",
    ),
    shared=("base.css", "prompt_chips.js", "region_editor.js"),
)  # fmt: skip
_log = logging.getLogger(__name__)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebApp:
    """Answers requests, on the event loop's thread.

    Attributes:
        clients: The connected clients.
        changes: Makes the changes of the settings.
        shown: The images that clients may be showing.
    """

    def __init__(
        self,
        address: Address,
        feed: Feed,
        settings: Settings,
        stats: Callable[[], dict[str, Any]],
        connections: Connections,
    ) -> None:
        self.clients: set[Client] = set()
        self.shown = ShownImages()
        self._guard = OriginGuard(address)
        self._feed = feed
        self._settings = settings
        self._status = Status(feed, settings, stats)
        self._connections = connections
        self.changes = Changes(settings, connections, self._status.invalidate)
        self._encoding = BackgroundThreads("preview snapshots")

    def application(self) -> web.Application:
        """The routes, behind the guard."""
        application = web.Application(client_max_size=LONGEST_BODY, middlewares=[self._check])
        application.on_response_prepare.append(add_security_headers)
        router = application.router
        PAGE.add_to(router)
        router.add_get("/watch", self._watch)
        router.add_get(r"/images/{number:[0-9]{1,15}}.json", self._describe)
        router.add_post("/prompts", self._change_prompts)
        if self._settings.has_controls:
            router.add_post("/regions", self._change_regions)
            router.add_post("/thresholds", self._change_thresholds)
        return application

    async def close(self) -> None:
        """Disconnect the clients with a last status; a change of the settings is not waited for."""
        self._feed.close()
        self._feed.end()
        self.changes.close()
        self._encoding.close(_CLOSE_WITHIN_S)
        await asyncio.gather(*(client.disconnect() for client in self.clients))

    @web.middleware
    async def _check(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        self._connections.extend(request.transport, self._connections.limits.answer_within_s)
        host = request.headers.get("Host")
        if not self._guard.accepts_host(host):
            raise web.HTTPForbidden(text=f"expected the Host header of this preview, found {host!r}\n")
        if not self._guard.accepts_origin(request.headers.get("Origin"), host):
            raise web.HTTPForbidden(text="expected a request from the preview's own page\n")
        try:
            return await handler(request)
        except (web.HTTPException, web.RequestPayloadError, ConnectionError):
            raise
        except Exception:
            _log.exception("the preview could not answer %s", request.path)
            raise

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        if len(self.clients) >= MOST_CLIENTS:
            raise web.HTTPServiceUnavailable(text=f"expected at most {MOST_CLIENTS} clients\n")
        self._connections.extend(request.transport, math.inf)  # a client has other timeouts
        client = Client(self._feed, self._status, self.shown)
        self.clients.add(client)
        try:
            return await client.serve(request)
        finally:
            self.clients.discard(client)
            self.shown.remove(client)
            self._connections.extend(request.transport, self._connections.limits.answer_within_s)

    async def _describe(self, request: web.Request) -> web.Response:
        """Send the frame of an image as `--json` writes it."""
        image = self.shown.find(int(request.match_info["number"]))
        if image is None:
            raise web.HTTPNotFound(text="expected the number of an image that a client shows, found another\n")
        return web.Response(text=await self._encoding.call(image.line), content_type="application/json")

    async def _change_prompts(self, request: web.Request) -> web.Response:
        return await self.changes.answer(request, read_prompts, self._settings.set_prompts)

    async def _change_regions(self, request: web.Request) -> web.Response:
        size = self._feed.size
        return await self.changes.answer(
            request, read_regions, lambda change: self._settings.change_regions(change, size)
        )

    async def _change_thresholds(self, request: web.Request) -> web.Response:
        return await self.changes.answer(request, read_thresholds, self._settings.change_thresholds)
