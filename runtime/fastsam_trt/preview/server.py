"""Run the preview's server on a thread with its own event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fastsam_engine.errors import PackagesMissingError
from fastsam_trt.drawing.style import DrawStyle
from fastsam_trt.preview.address import Address, listen
from fastsam_trt.preview.connections import ANSWER_WITHIN_S, Connections
from fastsam_trt.preview.feed import Feed

if TYPE_CHECKING:
    from fastsam_trt.preview.web_app import WebApp

_FINISH_WITHIN_S = 1.0
_CLOSE_WITHIN_S = 5.0  # serving is quick; if it is not, the run goes on
_LINGER_S = 1.0  # to read the rest of a request that was answered early

_log = logging.getLogger(__name__)


class _DebugLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs mistakes of clients at debug level; aiohttp logs them as errors, with tracebacks."""

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        super().log(min(level, logging.DEBUG), msg, *args, **kwargs)


class PreviewServer:
    """Serves the page from `start` (or `with`) to `close`.

    Attributes:
        address: Where it listens, with the actual port.
        feed: Takes the frames of `PreviewSink`.
    """

    def __init__(
        self,
        address: Address,
        prompts: Callable[[], tuple[str, ...]],
        set_prompts: Callable[[Sequence[str]], None],
        stats: Callable[[], dict[str, Any]],
        style: DrawStyle | None = None,
    ) -> None:
        """Open the port. Clients can connect from now on, and are served after `start`.

        Args:
            address: Where to listen; see `parse_address`.
            prompts: Returns the current prompts, quickly; called on the server's thread.
            set_prompts: Changes the prompts, or raises a `FastsamError`, which the page shows. Called on a separate
                thread, one call at a time, because a prompt may open CLIP.
            stats: Returns the statistics of the run as JSON types without NaN, quickly; called on the server's thread.
            style: What the overlay shows, and how; None: the default.

        Raises:
            PackagesMissingError: The extra `[preview]` is not installed.
            PreviewError: The server can't listen on the address.
        """
        try:
            import aiohttp  # noqa: F401 - not part of the base install
        except ModuleNotFoundError as error:
            raise PackagesMissingError([error.name or "aiohttp"], "preview") from error
        self._sockets = listen(address)
        self.address = Address(address.host, self._sockets[0].getsockname()[1])
        self.feed = Feed(style)
        self._prompts, self._set_prompts, self._stats = prompts, set_prompts, stats
        self._app: WebApp | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        if not address.is_loopback:
            _log.warning(
                "the preview listens on %s: anyone who can reach it sees the video and can change the prompts",
                self.address,
            )

    @property
    def url(self) -> str:
        """The address of the page for a browser on this machine."""
        return self.address.url

    def start(self) -> None:
        """Start to serve."""
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="preview", daemon=True)
        self._thread.start()
        started.result()

    def close(self) -> None:
        """Disconnect the clients, end the thread and free the port.

        It does not wait for a change of prompts: the client gets an error, and the thread of the change ends after it.
        """
        self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(_CLOSE_WITHIN_S)
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
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, started: Future[None]) -> None:
        from aiohttp import web

        from fastsam_trt.preview.web_app import WebApp

        self._loop = asyncio.get_running_loop()
        connections = Connections()
        self._app = WebApp(self.address, self.feed, self._prompts, self._set_prompts, self._stats, connections)
        runner = web.AppRunner(
            self._app.application(),
            access_log=None,
            logger=_DebugLogger(_log, {}),
            shutdown_timeout=_FINISH_WITHIN_S,
            keepalive_timeout=ANSWER_WITHIN_S,
            lingering_time=_LINGER_S,
        )
        await runner.setup()
        assert runner.server is not None  # noqa: S101 - setup creates it
        tasks = [asyncio.create_task(connections.accept(listening, runner.server)) for listening in self._sockets]
        tasks.append(asyncio.create_task(connections.expire()))
        try:
            self.feed.open()
            started.set_result(None)
            if not self._closed:
                await self._stop.wait()
        finally:
            for task in tasks:
                task.cancel()
            self.feed.close()
            await self._app.close()
            await runner.cleanup()
