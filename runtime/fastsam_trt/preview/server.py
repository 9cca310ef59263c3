"""The server of the preview: its sockets, and a thread of its own with an event loop of its own."""

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
from fastsam_trt.preview.address import Address, listen
from fastsam_trt.preview.connections import ANSWER_WITHIN_S, Connections
from fastsam_trt.preview.feed import Feed

if TYPE_CHECKING:
    from fastsam_trt.preview.site import Site

_FINISH_WITHIN_S = 1.0
_CLOSE_WITHIN_S = 5.0  # what serves a client is quick; should it not be, nobody waits for it
_LINGER_S = 1.0  # for the rest of a request that was answered before it was read

_log = logging.getLogger(__name__)


class _Quiet(logging.LoggerAdapter[logging.Logger]):
    """Takes for a matter of debugging what clients do wrong, which aiohttp tells as errors, with tracebacks."""

    def log(self, level: int, msg: object, *args: Any, **given: Any) -> None:
        super().log(min(level, logging.DEBUG), msg, *args, **given)


class PreviewServer:
    """Serves the page from `start` (or `with`) to `close`.

    Attributes:
        address: Where it listens, with the port that it got.
        feed: What `PreviewSink` gives frames to.
    """

    def __init__(
        self,
        address: Address,
        prompts: Callable[[], tuple[str, ...]],
        set_prompts: Callable[[Sequence[str]], None],
        figures: Callable[[], dict[str, Any]],
    ) -> None:
        """Take the port. Clients can connect from now on, and are answered after `start`.

        Args:
            address: Where to listen; see `parse_address`.
            prompts: The prompts in force; called on the server's thread, and quick.
            set_prompts: Changes them, or raises a `FastsamError`, which the page shows; one call at a time, on a thread
                of its own, since a prompt may open CLIP.
            figures: The figures of the run as JSON's types, without NaN; called on the server's thread, and quick.

        Raises:
            PackagesMissingError: The extra `[preview]` is not installed.
            PreviewError: The address can't be listened at.
        """
        try:
            import aiohttp  # noqa: F401 - a base install is without it
        except ModuleNotFoundError as error:
            raise PackagesMissingError([error.name or "aiohttp"], "preview") from error
        self._sockets = listen(address)
        self.address = Address(address.host, self._sockets[0].getsockname()[1])
        self.feed = Feed()
        self._prompts, self._set_prompts, self._figures = prompts, set_prompts, figures
        self._site: Site | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        if not address.is_loopback:
            _log.warning(
                "the preview listens at %s: anyone who reaches it sees the video and can change the prompts",
                self.address,
            )

    @property
    def url(self) -> str:
        """Of the page, for a browser on this machine."""
        return self.address.url

    def start(self) -> None:
        """Begin to answer."""
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="preview", daemon=True)
        self._thread.start()
        started.result()

    def close(self) -> None:
        """Part from the clients, end the thread, free the port.

        A change of prompts that is going on is not waited for: its client is told, and its thread ends after it.
        """
        self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(_CLOSE_WITHIN_S)
            self._thread = None
        for each in self._sockets:
            each.close()

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

        from fastsam_trt.preview.site import Site

        self._loop = asyncio.get_running_loop()
        connections = Connections()
        self._site = Site(self.address, self.feed, self._prompts, self._set_prompts, self._figures, connections)
        runner = web.AppRunner(
            self._site.application(),
            access_log=None,
            logger=_Quiet(_log, {}),
            shutdown_timeout=_FINISH_WITHIN_S,
            keepalive_timeout=ANSWER_WITHIN_S,
            lingering_time=_LINGER_S,
        )
        await runner.setup()
        assert runner.server is not None  # noqa: S101 - it is set up
        tasks = [asyncio.create_task(connections.accept(each, runner.server)) for each in self._sockets]
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
            await self._site.close()
            await runner.cleanup()
