"""SingleStream: one frame at a time, from its bytes to the masks of what was selected."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

from fastsam_bench.scenarios.scenario import Scenario, register
from fastsam_bench.timing.blocks import WHOLE, Times

Total: TypeAlias = Callable[[str], float]


@register("single")
class SingleStream(Scenario):
    """A whole call of the pipeline, the decoding of the frame before it and of the masks after it included.

    Stages: `capture` (decoding the frame), `preprocess`, `copy` (a frame's upload, where it stays on a device),
    `engine` (the session's run, with what it copies), `postprocess` (raw outputs to segments, NMS and a mask head's
    run included), `select`, `clip` (cutting crops and their run), `decode` (masks of the selected segments).
    """

    def call(self) -> Times:
        clock = self.opened.clock
        self.frames.prepare()
        clock.clear()
        start = time.perf_counter()
        picture = self.frames.capture()
        captured = time.perf_counter()
        result = self.opened.pipeline(picture, rectangle="smallest")
        result.crops()
        done = time.perf_counter()
        self.segments.append(len(result))
        self.keep_shapes()
        return {WHOLE: (done - start) * 1e3, "capture": (captured - start) * 1e3, **split(result.speed, clock.total)}


def split(speed: dict[str, float], watched: Total) -> dict[str, float]:
    """A result's times, with what was watched inside them apart from them.

    Args:
        speed: Of a `Result`, its masks decoded.
        watched: Gives the ms of a watched stage.
    """
    engine, clip, copy = watched("engine"), watched("clip"), watched("copy")
    stages = {
        "preprocess": max(speed["preprocess"] - copy, 0.0),
        "copy": copy,
        "engine": engine,
        "postprocess": max(speed["segment"] - engine, 0.0),
        "select": max(speed["select"] - clip, 0.0),
        "clip": clip,
        "decode": speed["decode"],
    }
    return {stage: ms for stage, ms in stages.items() if ms or stage not in ("copy", "clip")}
