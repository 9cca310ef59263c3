"""Report the run's state, settings and statistics to the page, as JSON."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from fastsam_trt.preview.feed import Feed
from fastsam_trt.preview.settings import Settings

State: TypeAlias = Literal["waiting", "live", "stalled", "ended"]

_STALLED_S = 2.0
_CACHED_S = 0.25


class Status:
    """Makes the status of a run, at most four times per second for all clients."""

    def __init__(self, feed: Feed, settings: Settings, stats: Callable[[], dict[str, Any]]) -> None:
        self._feed = feed
        self._settings = settings
        self._stats = stats
        self._text = ""
        self._made_s = -math.inf

    def text(self) -> str:
        """The status: `state`, the current settings (see `Settings.record`), and `stats`, the run's statistics."""
        now = time.perf_counter()
        if now - self._made_s > _CACHED_S or self._feed.ended:
            status = {"state": self.state(now), **self._settings.record(), "stats": self._stats()}
            self._text = json.dumps(status, separators=(",", ":"), allow_nan=False)
            self._made_s = now
        return self._text

    def invalidate(self) -> None:
        """Make a new status for the next client, because settings have changed."""
        self._made_s = -math.inf

    def state(self, now: float) -> State:
        """The state of the run at a time on `time.perf_counter`'s clock.

        It is stalled after two seconds without a frame, or after four times the usual time between slow frames.
        """
        feed = self._feed
        if feed.ended:
            return "ended"
        if feed.last_s is None:
            return "waiting"
        return "stalled" if now - feed.last_s > max(_STALLED_S, 4 * feed.gap_s) else "live"
