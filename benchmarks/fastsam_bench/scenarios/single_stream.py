"""Measure one frame at a time, from its bytes to the masks of the selected segments."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

from fastsam_bench.scenarios.scenario import Scenario, register
from fastsam_bench.timing.blocks import WHOLE, Times

Total: TypeAlias = Callable[[str], float]


@register("single")
class SingleStream(Scenario):
    """A whole call of the pipeline, with the decoding of the frame before it and of the masks after it.

    Stages: `capture` (decoding the frame), `preprocess`, `copy` (upload of a frame that stays on the device), `engine`
    (run of the session, with its copies), `postprocess` (raw outputs to segments, with NMS and the run of a mask head),
    `select`, `clip` (cutting crops and running them), `decode` (masks of the selected segments).
    """

    def call(self) -> Times:
        clock = self.opened.clock
        self.frames.prepare()
        clock.clear()
        start = time.perf_counter()
        picture = self.frames.capture()
        captured = time.perf_counter()
        result = self.opened.process(picture)
        result.mask_crops()
        done = time.perf_counter()
        self.segments.append(len(result))
        self.keep_shapes()
        return {WHOLE: (done - start) * 1e3, "capture": (captured - start) * 1e3, **split(result.speed, clock.total)}


def split(speed: dict[str, float], observed: Total) -> dict[str, float]:
    """Split the times of a result into stages: observed stages are subtracted from the times that contain them.

    Args:
        speed: The `speed` of a `Result` whose masks are decoded.
        observed: Returns the time of an observed stage, ms.
    """
    engine, clip, copy = observed("engine"), observed("clip"), observed("copy")
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
