"""Run the preview's server on a thread with its own event loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fastsam_engine.errors import PackagesMissingError
from fastsam_trt.drawing.style import DrawStyle
from fastsam_trt.errors import PreviewError
from fastsam_trt.preview.controls import Controls
from fastsam_trt.preview.feed import Feed
from fastsam_trt.preview.settings import Settings
from fastsam_trt.web.address import Address, listen
from fastsam_trt.web.connections import ConnectionLimits, Connections
from fastsam_trt.web.server_thread import ServerSettings, ServerThread

if TYPE_CHECKING:
    from fastsam_trt.preview.web_app import WebApp

_SETTINGS = ServerSettings(
    name="preview",
    limits=ConnectionLimits(),
    finish_within_s=1.0,
    close_within_s=5.0,  # serving is quick; if it is not, the run goes on
)

_log = logging.getLogger(__name__)


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
        *,
        controls: Controls | None = None,
    ) -> None:
        """Open the port. Clients can connect from now on, and are served after `start`.

        Args:
            address: Where to listen; see `parse_address`.
            prompts: Returns the current prompts, quickly; called on the server's thread.
            set_prompts: Changes the prompts, or raises a `FastsamError`, which the page shows. Called on a separate
                thread, one call at a time, because a prompt may open CLIP.
            stats: Returns the statistics of the run as JSON types without NaN, quickly; called on the server's thread.
            style: What the overlay shows, and how; None: the default.
            controls: The boxes, points and thresholds of the run, such as `PipelineControls`; None: the page can't
                change these, and shows none.

        Raises:
            PackagesMissingError: The extra `[preview]` is not installed.
            PreviewError: The server can't listen on the address.
        """
        try:
            import aiohttp  # noqa: F401 - not part of the base install
        except ModuleNotFoundError as error:
            raise PackagesMissingError([error.name or "aiohttp"], "preview") from error
        sockets = listen(address, PreviewError)
        self.address = Address(address.host, sockets[0].getsockname()[1])
        self.feed = Feed(style)
        self._settings, self._stats = Settings(prompts, set_prompts, controls), stats
        self._app: WebApp | None = None
        self._thread = ServerThread(sockets, self._make_app, _SETTINGS)
        if not address.is_loopback:
            _log.warning(
                "the preview listens on %s: anyone who can reach it sees the video and can change what is selected",
                self.address,
            )

    @property
    def url(self) -> str:
        """The address of the page for a browser on this machine."""
        return self.address.url

    def start(self) -> None:
        """Start to serve."""
        self._thread.start()

    def close(self) -> None:
        """Disconnect the clients, end the thread and free the port.

        It does not wait for a change of the settings: the client gets an error, and the thread ends after the change.
        """
        self._thread.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _make_app(self, connections: Connections) -> WebApp:
        from fastsam_trt.preview.web_app import WebApp

        self.feed.open()
        self._app = WebApp(self.address, self.feed, self._settings, self._stats, connections)
        return self._app
