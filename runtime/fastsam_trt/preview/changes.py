"""Changes: change the settings of a run at the request of clients, one change at a time."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import TypeVar

from aiohttp import web

from fastsam_engine.errors import FastsamError
from fastsam_trt.preview.settings import Settings
from fastsam_trt.web.background_threads import BackgroundThreads
from fastsam_trt.web.connections import Connections

MOST_CHANGES = 4  # running and waiting
LONGEST_BODY = 16 * 1024  # bytes
BODY_WITHIN_S = 5.0
_CLOSE_WITHIN_S = 0.2

_log = logging.getLogger(__name__)

Change = TypeVar("Change")


class Changes:
    """Makes changes on a separate thread, because a prompt may open CLIP; for the event loop's thread.

    Attributes:
        waiting: Number of changes that run or wait.
    """

    def __init__(self, settings: Settings, connections: Connections, on_change: Callable[[], None]) -> None:
        """Start without changes; `on_change` is called after every change."""
        self.waiting = 0
        self._settings, self._connections, self._on_change = settings, connections, on_change
        self._background = BackgroundThreads("preview changes")
        self._turn = asyncio.Lock()
        self._running: asyncio.Future[None] | None = None
        self._is_closed = False

    def close(self) -> None:
        """Refuse changes from now on; one that runs is not waited for."""
        self._is_closed = True
        if self._running is not None:
            self._running.cancel()
        self._background.close(_CLOSE_WITHIN_S)

    async def answer(
        self, request: web.Request, read: Callable[[bytes], Change], make: Callable[[Change], None]
    ) -> web.Response:
        """Make the change of a request.

        Args:
            request: The request.
            read: Parses its body, or raises a ValueError.
            make: Makes the change, or raises a `FastsamError`.

        Returns:
            The settings after it, and in `error` why they are not as requested.
        """
        if request.content_type != "application/json":
            return self._answer(415, f"expected application/json, found {request.content_type}")
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                change = read(await request.read())
        except TimeoutError:
            return self._answer(408, f"expected the whole request within {BODY_WITHIN_S:g} s")
        except web.HTTPRequestEntityTooLarge:
            return self._answer(413, f"expected at most {LONGEST_BODY} bytes")
        except (ValueError, web.RequestPayloadError) as error:
            return self._answer(400, str(error))
        if self.waiting >= MOST_CHANGES:
            return self._answer(503, f"expected at most {MOST_CHANGES} changes at a time")
        self._connections.extend(request.transport, math.inf)  # a prompt may open a model
        self.waiting += 1
        try:
            async with self._turn:  # the first change that needs CLIP opens it
                return await self._make(make, change)
        finally:
            self.waiting -= 1
            self._connections.extend(request.transport, self._connections.limits.answer_within_s)

    async def _make(self, make: Callable[[Change], None], change: Change) -> web.Response:
        if self._is_closed:
            return self._answer(503, "the run has ended")
        self._running = asyncio.ensure_future(self._background.call(make, change))
        try:
            await self._running
        except asyncio.CancelledError:
            if not self._is_closed:
                raise
            return self._answer(503, "the run has ended")
        except FastsamError as error:
            return self._answer(422, str(error))
        except Exception as error:  # noqa: BLE001 - the page shows it, and the run goes on
            _log.exception("the settings could not be changed")
            return self._answer(500, f"unexpected {type(error).__name__}: {error}")
        self._settings.changed()
        self._on_change()
        return self._answer(200)

    def _answer(self, status: int, error: str | None = None) -> web.Response:
        return web.json_response({**self._settings.record(), "error": error}, status=status)
