"""The status: what a page shows beside the picture, as JSON."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from fastsam_trt.preview.feed import Feed

State: TypeAlias = Literal["waiting", "live", "stalled", "ended"]

_STALLED_S = 2.0
_KEPT_S = 0.25


class Status:
    """Makes the status of a run, at most four times a second, however many clients ask."""

    def __init__(
        self, feed: Feed, prompts: Callable[[], tuple[str, ...]], figures: Callable[[], dict[str, Any]]
    ) -> None:
        self._feed = feed
        self._prompts = prompts
        self._figures = figures
        self._text = ""
        self._made_s = -math.inf

    def text(self) -> str:
        """The status: `state`, `prompts` in force, `selected` and its `count` (of the last picture), `figures`."""
        now = time.perf_counter()
        if now - self._made_s > _KEPT_S or self._feed.ended:
            picture = self._feed.picture
            status = {
                "state": self.state(now),
                "prompts": list(self._prompts()),
                "selected": [] if picture is None else picture.selected,
                "count": 0 if picture is None else picture.count,
                "figures": self._figures(),
            }
            self._text = json.dumps(status, separators=(",", ":"), allow_nan=False)
            self._made_s = now
        return self._text

    def forget(self) -> None:
        """Make it anew when it is asked for next: the prompts have changed."""
        self._made_s = -math.inf

    def state(self, now: float) -> State:
        """What the run is doing at a time of `time.perf_counter`.

        It has stalled when no frame came for two seconds, or for four times as long as one takes where frames are slow.
        """
        feed = self._feed
        if feed.ended:
            return "ended"
        if feed.last_s is None:
            return "waiting"
        return "stalled" if now - feed.last_s > max(_STALLED_S, 4 * feed.gap_s) else "live"
