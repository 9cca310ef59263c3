"""Report the run's state, prompts and statistics to the page, as JSON."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from fastsam_trt.preview.feed import Feed

State: TypeAlias = Literal["waiting", "live", "stalled", "ended"]

_STALLED_S = 2.0
_CACHED_S = 0.25


class Status:
    """Makes the status of a run, at most four times per second for all clients."""

    def __init__(self, feed: Feed, prompts: Callable[[], tuple[str, ...]], stats: Callable[[], dict[str, Any]]) -> None:
        self._feed = feed
        self._prompts = prompts
        self._stats = stats
        self._text = ""
        self._made_s = -math.inf

    def text(self) -> str:
        """The status: `state`, current `prompts`, `selected` and its `count` (of the last image), and `stats`.

        `stats` are the statistics of the run.
        """
        now = time.perf_counter()
        if now - self._made_s > _CACHED_S or self._feed.ended:
            image = self._feed.image
            status = {
                "state": self.state(now),
                "prompts": list(self._prompts()),
                "selected": [] if image is None else image.selected,
                "count": 0 if image is None else image.count,
                "stats": self._stats(),
            }
            self._text = json.dumps(status, separators=(",", ":"), allow_nan=False)
            self._made_s = now
        return self._text

    def invalidate(self) -> None:
        """Make a new status for the next client, because the prompts have changed."""
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
