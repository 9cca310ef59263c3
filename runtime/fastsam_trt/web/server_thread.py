"""ServerThread: serve a web site on a thread with its own event loop."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from fastsam_trt.web.connections import ConnectionLimits, Connections

if TYPE_CHECKING:
    from aiohttp import web

_log = logging.getLogger(__name__)


class Site(Protocol):
    """What a server serves, on the event loop's thread."""

    def application(self) -> web.Application:
        """The routes."""

    async def close(self) -> None:
        """End what clients wait for; no new connection is accepted any more, and requests in progress go on."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How a server runs.

    Attributes:
        name: Name of the server in messages and of its thread.
        limits: How many connections, and for how long.
        finish_within_s: How long requests in progress may take when the server is closed.
        close_within_s: How long `ServerThread.close` waits; whatever still runs then does not hold up the process.
        linger_s: How long to read the rest of a request that was answered early.
        runner: More options of `aiohttp.web.AppRunner`.
    """

    name: str
    limits: ConnectionLimits
    finish_within_s: float
    close_within_s: float
    linger_s: float = 1.0
    runner: dict[str, Any] = field(default_factory=dict)


class _DebugLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs mistakes of clients at debug level; aiohttp logs them as errors, with tracebacks."""

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        super().log(min(level, logging.DEBUG), msg, *args, **kwargs)


class ServerThread:
    """Serves a site from `start` (or `with`) to `close`."""

    def __init__(
        self, sockets: Sequence[socket.socket], make_site: Callable[[Connections], Site], settings: ServerSettings
    ) -> None:
        """Create it; clients can connect, and are served after `start`.

        Args:
            sockets: Listening sockets, which `close` closes.
            make_site: Makes the site, on the event loop's thread.
            settings: How the server runs.
        """
        self._sockets = sockets
        self._make_site = make_site
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._closed = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to serve."""
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name=self._settings.name, daemon=True)
        self._thread.start()
        started.result()

    def stop(self) -> None:
        """Begin to close, without waiting; for any thread and for signal handlers."""
        self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stop.set)

    def wait(self) -> None:
        """Wait until the server has ended.

        Raises:
            BaseException: What it failed with.
        """
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Stop, let requests in progress finish, end the thread and free the port."""
        self.stop()
        if self._thread is not None:
            self._thread.join(self._settings.close_within_s)
            self._thread = None
        for listening in self._sockets:
            listening.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(started))
        except BaseException as error:  # noqa: BLE001 - raised by `start` or `wait`
            if not started.done():
                started.set_exception(error)
                return
            self._error = error
            _log.exception("the %s failed", self._settings.name)

    async def _serve(self, started: Future[None]) -> None:
        from aiohttp import web

        self._loop = asyncio.get_running_loop()
        settings = self._settings
        connections = Connections(settings.limits, f"the {settings.name}")
        site = self._make_site(connections)
        runner = web.AppRunner(
            site.application(),
            logger=_DebugLogger(_log, {}),
            shutdown_timeout=settings.finish_within_s,
            keepalive_timeout=settings.limits.answer_within_s,
            lingering_time=settings.linger_s,
            **{"access_log": None, **settings.runner},
        )
        await runner.setup()
        assert runner.server is not None  # noqa: S101 - setup creates it
        accepting = [asyncio.create_task(connections.accept(listening, runner.server)) for listening in self._sockets]
        expiring = asyncio.create_task(connections.expire())
        try:
            started.set_result(None)
            if not self._closed:
                await self._stop.wait()
        finally:
            await _cancel(*accepting)
            for listening in self._sockets:  # so that new clients are refused rather than kept waiting
                listening.close()
            await site.close()
            await runner.cleanup()
            await _cancel(expiring)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
