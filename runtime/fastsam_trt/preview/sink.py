"""Pass the results of a run to the preview."""

from __future__ import annotations

from fastsam_trt.preview.server import PreviewServer
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame


class PreviewSink(Sink):
    """Shows the newest result to the clients of the preview, and never waits for them; without clients it does nothing.

    It only decodes the masks, at most 15 times per second, so that this counts in the result's `speed`; another sink
    has often decoded them already. Drawing and encoding happen on the preview's thread.
    """

    def __init__(self, server: PreviewServer) -> None:
        """Create the sink. The caller closes the server, after the sink."""
        self._feed = server.feed

    def write(self, frame: Frame, result: Result) -> None:
        """Offer a result to the preview, which drops it if no client waits for one."""
        self._feed.count_frame(result.frame.shape[:2])
        if self._feed.wanted:
            result.mask_crops()
            self._feed.offer(frame, result)

    def close(self) -> None:
        """Show the clients that the run has ended."""
        self._feed.end()
