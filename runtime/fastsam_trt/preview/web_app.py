"""Serve the page of the preview, its WebSocket, and changes of prompts.

It uses aiohttp: one well maintained package with wheels, which has the server, WebSockets and, for the tests, a client.
With starlette, the server (uvicorn) and the WebSockets are separate packages with separate settings. bottle and
`http.server` have no WebSockets and use a thread per client.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from fastsam_engine.errors import FastsamError
from fastsam_trt.preview.client import Client
from fastsam_trt.preview.feed import Feed
from fastsam_trt.preview.status import Status
from fastsam_trt.web.address import Address
from fastsam_trt.web.background_threads import BackgroundThreads
from fastsam_trt.web.connections import Connections
from fastsam_trt.web.origin_guard import OriginGuard
from fastsam_trt.web.page_files import PageFiles, add_security_headers

MOST_CLIENTS = 16
MOST_CHANGES = 4  # of prompts, running and waiting
MOST_PROMPTS = 16
LONGEST_PROMPT = 200  # characters
LONGEST_BODY = 16 * 1024  # bytes
BODY_WITHIN_S = 5.0
_CLOSE_WITHIN_S = 0.2

_PAGE = PageFiles("fastsam_trt.preview", ("page.html", "page.css", "page.js"), shared=("base.css", "prompt_chips.js"))
_log = logging.getLogger(__name__)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebApp:
    """Answers requests, on the event loop's thread.

    Attributes:
        clients: The connected clients.
    """

    def __init__(
        self,
        address: Address,
        feed: Feed,
        prompts: Callable[[], tuple[str, ...]],
        set_prompts: Callable[[Sequence[str]], None],
        stats: Callable[[], dict[str, Any]],
        connections: Connections,
    ) -> None:
        self.clients: set[Client] = set()
        self._guard = OriginGuard(address)
        self._feed = feed
        self._prompts = prompts
        self._set_prompts = set_prompts
        self._status = Status(feed, prompts, stats)
        self._connections = connections
        self._background = BackgroundThreads("preview prompts")
        self._changing = asyncio.Lock()
        self._changes = 0  # running and waiting
        self._change: asyncio.Future[None] | None = None
        self._is_closed = False

    def application(self) -> web.Application:
        """The routes, behind the guard."""
        application = web.Application(client_max_size=LONGEST_BODY, middlewares=[self._check])
        application.on_response_prepare.append(add_security_headers)
        _PAGE.add_to(application.router)
        application.router.add_get("/watch", self._watch)
        application.router.add_post("/prompts", self._change_prompts)
        return application

    async def close(self) -> None:
        """Disconnect the clients with a last status; a change of prompts is not waited for."""
        self._is_closed = True
        self._feed.close()
        self._feed.end()
        if self._change is not None:
            self._change.cancel()
        self._background.close(_CLOSE_WITHIN_S)
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
        client = Client(self._feed, self._status)
        self.clients.add(client)
        try:
            return await client.serve(request)
        finally:
            self.clients.discard(client)
            if not self.clients:
                self._feed.clear()
            self._connections.extend(request.transport, self._connections.limits.answer_within_s)

    async def _change_prompts(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            return self._answer(415, f"expected application/json, found {request.content_type}")
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                prompts = read_prompts(await request.read())
        except TimeoutError:
            return self._answer(408, f"expected the whole request within {BODY_WITHIN_S:g} s")
        except web.HTTPRequestEntityTooLarge:
            return self._answer(413, f"expected at most {LONGEST_BODY} bytes")
        except (ValueError, web.RequestPayloadError) as error:
            return self._answer(400, str(error))
        if self._changes >= MOST_CHANGES:
            return self._answer(503, f"expected at most {MOST_CHANGES} changes at a time")
        self._connections.extend(request.transport, math.inf)  # a prompt may open a model
        self._changes += 1
        try:
            async with self._changing:  # one change at a time; the first that needs CLIP opens it
                return await self._set(prompts)
        finally:
            self._changes -= 1
            self._connections.extend(request.transport, self._connections.limits.answer_within_s)

    async def _set(self, prompts: list[str]) -> web.Response:
        if self._is_closed:
            return self._answer(503, "the run has ended")
        self._change = asyncio.ensure_future(self._background.call(self._set_prompts, prompts))
        try:
            await self._change
        except asyncio.CancelledError:
            if not self._is_closed:
                raise
            return self._answer(503, "the run has ended")
        except FastsamError as error:
            return self._answer(422, str(error))
        except Exception as error:  # noqa: BLE001 - the page shows it, and the run goes on
            _log.exception("the prompts could not be changed")
            return self._answer(500, f"unexpected {type(error).__name__}: {error}")
        self._status.invalidate()
        return self._answer(200)

    def _answer(self, status: int, error: str | None = None) -> web.Response:
        """The current prompts, and why they are not the requested ones."""
        return web.json_response({"prompts": list(self._prompts()), "error": error}, status=status)


def read_prompts(body: bytes) -> list[str]:
    """Parse `{"prompts": [...]}`.

    Raises:
        ValueError: The body is something else, or has too many or too long prompts.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("expected JSON, found something else") from error
    prompts = request.get("prompts") if isinstance(request, dict) else None
    if not isinstance(prompts, list) or not all(isinstance(prompt, str) for prompt in prompts):
        raise ValueError('expected {"prompts": ["...", ...]}, found something else')
    if len(prompts) > MOST_PROMPTS:
        raise ValueError(f"expected at most {MOST_PROMPTS} prompts, found {len(prompts)}")
    for prompt in prompts:
        if not prompt.strip() or not prompt.isprintable():  # half of a surrogate pair is not printable
            raise ValueError("expected printable text on one line in every prompt, found one without")
        if len(prompt) > LONGEST_PROMPT:
            raise ValueError(f"expected prompts of at most {LONGEST_PROMPT} characters, found {len(prompt)}")
    return prompts
