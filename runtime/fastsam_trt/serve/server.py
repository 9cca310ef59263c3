"""SegmentServer: run the server on a thread with its own event loop."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fastsam_engine.errors import PackagesMissingError
from fastsam_trt.errors import OptionError, ServeAddressError, TokenMissingError
from fastsam_trt.serve.access_rules import AccessRules
from fastsam_trt.serve.limits import Limits
from fastsam_trt.web.address import Address, listen
from fastsam_trt.web.connections import ConnectionLimits, Connections
from fastsam_trt.web.server_thread import ServerSettings, ServerThread

if TYPE_CHECKING:
    from fastsam_trt.pipeline import Pipeline
    from fastsam_trt.serve.web_app import WebApp
    from fastsam_trt.serve.workers import Workers

DEFAULT_PORT = 8000
DEFAULT_WORKERS = 2

_CONNECTIONS = ConnectionLimits(most=256, per_host=128, request_within_s=10.0, answer_within_s=60.0)
_MARGIN_S = 5.0
_WORKERS_WITHIN_S = 1.0
_LINGER_S = 5.0
_LOG_FORMAT = '%a "%r" %s %b bytes %Tf s'

_access_log = logging.getLogger("fastsam_trt.serve.access")


class SegmentServer:
    """Segments images that clients send over HTTP, from `start` (or `with`) to `close`.

        with Pipeline("yolov8n-seg") as pipeline, SegmentServer(Address("127.0.0.1", 8000)) as server:
            server.use(pipeline)
            server.wait()

    Until `use` it answers that it is not ready yet. The routes, their fields and their answers are in the OpenAPI
    document that it serves at `/openapi.json`.

    Attributes:
        address: Where it listens, with the actual port.
    """

    def __init__(
        self,
        address: Address,
        rules: AccessRules | None = None,
        limits: Limits | None = None,
        *,
        workers: int = DEFAULT_WORKERS,
        max_segments: int | None = None,
        without_token: bool = False,
        log_requests: bool = False,
    ) -> None:
        """Open the port. Clients can connect from now on, and are served after `start`.

        Args:
            address: Where to listen.
            rules: Who may use it; None: everyone who can reach it, except pages of other sites.
            limits: What requests may take; None: the defaults of `Limits`.
            workers: How many requests are worked on at a time. With two, one is decoded or encoded while the network
                runs for the other.
            max_segments: Highest `max_segments` that a request may ask for; None: 300.
            without_token: Whether other machines may use it without a token.
            log_requests: Whether to log a line per request, to the logger `fastsam_trt.serve.access` at level INFO.

        Raises:
            PackagesMissingError: The extra `[preview]` is not installed.
            TokenMissingError: Other machines can reach the address, and there is no token.
            ServeAddressError: The server can't listen on the address.
            OptionError: The number of workers or segments is below 1.
        """
        try:
            import aiohttp  # noqa: F401 - not part of the base install
        except ModuleNotFoundError as error:
            raise PackagesMissingError([error.name or "aiohttp"], "preview") from error
        from fastsam_trt.serve.request_fields import MOST_SEGMENTS, RequestFields
        from fastsam_trt.serve.workers import Workers

        rules, limits = rules or AccessRules(), limits or Limits()
        max_segments = MOST_SEGMENTS if max_segments is None else max_segments
        for name, value in (("workers", workers), ("max_segments", max_segments)):
            if value < 1:
                raise OptionError(name, "a whole number of 1 or more", value)
        if not address.is_loopback and rules.token is None and not without_token:
            raise TokenMissingError(address.host)
        sockets = listen(address, ServeAddressError)
        self.address = Address(address.host, sockets[0].getsockname()[1])
        self._rules, self._limits, self._fields = rules, limits, RequestFields(max_segments)
        self._pipeline: Pipeline | None = None
        self._workers: Workers = Workers(workers, limits)
        finish_s = limits.timeout_s + _MARGIN_S
        runner: dict[str, Any] = {"handler_cancellation": True, "auto_decompress": False}
        if log_requests:
            runner |= {"access_log": _access_log, "access_log_format": _LOG_FORMAT}
        close_s = limits.timeout_s + finish_s + _MARGIN_S  # to receive what has begun, and to answer it
        settings = ServerSettings("server", _CONNECTIONS, finish_s, close_s, _LINGER_S, runner)
        self._thread = ServerThread(sockets, self._make_app, settings)

    @property
    def url(self) -> str:
        """The address of the page for a browser on this machine."""
        return self.address.url

    def start(self) -> None:
        """Start to answer."""
        self._thread.start()

    def use(self, pipeline: Pipeline) -> None:
        """Serve with a pipeline, which the caller closes after the server.

        For clients that are not trusted, open it with `max_mask_pixels`.

        Raises:
            OptionError: It tracks: requests are no frames of one stream.
        """
        if pipeline.track:
            raise OptionError("track", "a pipeline that does not track", pipeline.track)
        self._pipeline = pipeline

    def wait(self) -> None:
        """Wait until the server has ended, after `stop`."""
        self._thread.wait()

    def stop(self) -> None:
        """Begin to end, without waiting: the port is closed, and requests in progress finish.

        Signal handlers may call it.
        """
        self._thread.stop()

    def close(self) -> None:
        """Stop, and wait until the requests in progress are answered, as long as they may take."""
        self._thread.close()
        self._workers.close(_WORKERS_WITHIN_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _make_app(self, connections: Connections) -> WebApp:
        from fastsam_trt.serve.access import Access
        from fastsam_trt.serve.web_app import PUBLIC, WebApp

        access = Access(self.address, self._rules, PUBLIC)
        return WebApp(
            lambda: self._pipeline,
            access,
            self._limits,
            self._fields,
            self._workers,
            connections,
            has_token=self._rules.token is not None,
        )
