"""The sink: gives the run's results to the preview."""

from __future__ import annotations

from fastsam_trt.preview.server import PreviewServer
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame


class PreviewSink(Sink):
    """Shows the newest result to whoever watches, and never waits for a client; where nobody watches it does nothing.

    Here only the masks are decoded, at most 15 times a second (two threads must not decode one result, and another sink
    has often done it already); drawing and encoding are done on the preview's thread.
    """

    def __init__(self, server: PreviewServer) -> None:
        """Prepare; the server is the caller's to close, after this."""
        self._feed = server.feed

    def write(self, frame: Frame, result: Result) -> None:
        """Take a result; it is dropped where no client waits for one."""
        self._feed.saw_frame()
        if self._feed.wanted:
            result.mask_crops()
            self._feed.offer(result)

    def close(self) -> None:
        """Tell the clients that the run has ended."""
        self._feed.end()
