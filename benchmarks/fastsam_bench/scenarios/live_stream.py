"""Measure the pipeline on a live source, which delivers frames at a fixed rate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from fastsam_bench.cases.case import CellCase
from fastsam_bench.cases.frames import Frames
from fastsam_bench.cases.opened_model import OpenedModel
from fastsam_bench.scenarios.scenario import Scenario, register
from fastsam_bench.scenarios.single_stream import split
from fastsam_bench.timing.blocks import WHOLE, Block, Times
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.source import Source
from fastsam_trt.streaming import Flow

SOURCE_FPS = 30.0
_LED_IN = 3  # frames that start the threads
_FEWEST = 5


class PacedSource(Source):
    """A simulated camera: frames at a fixed rate, decoded when they are due."""

    kind = "live"
    fps = SOURCE_FPS

    def __init__(self, frames: Frames) -> None:
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        index, due_s = 0, time.perf_counter()
        while not self._stopped:
            self._frames.prepare()
            ahead_s = due_s - time.perf_counter()
            if ahead_s > 0:
                time.sleep(ahead_s)
            captured_s = time.perf_counter()
            yield Frame(self._frames.capture(), index, "bench", captured_s)
            index += 1
            due_s = max(due_s + 1 / SOURCE_FPS, time.perf_counter() - 1 / SOURCE_FPS)  # no burst after a pause


@dataclass(frozen=True, slots=True)
class Pass:
    """The rates of a block, frames per second, and the number of dropped frames."""

    fps_in: float
    fps_out: float
    dropped: int


@register("live")
class LiveStream(Scenario):
    """The pipeline on a live source. Stages of different frames overlap, the newest frame is taken, nothing is tracked.

    The time of a call is the age of its frame, from capture until its masks are decoded. Uploads are part of
    `preprocess`.

    Attributes:
        passes: Rates of the source and the pipeline in each block.
    """

    def __init__(self, case: CellCase, opened: OpenedModel) -> None:
        super().__init__(case, opened)
        self.passes: list[Pass] = []

    def block(self, seconds: float) -> Block:
        clock, calls = self.opened.clock, list[Times]()
        clock.clear()
        taken, start_s = 0, 0.0
        with PacedSource(self.frames) as source, Flow(source, self.opened, "latest") as flow:
            for index, (frame, result) in enumerate(flow):
                result.mask_crops()
                now_s = time.perf_counter()
                if index == _LED_IN - 1:
                    start_s, before = now_s, flow.stats.snapshot()
                if index < _LED_IN:
                    continue
                taken += 1

                def of_frame(stage: str, index: int = index) -> float:
                    spent = clock.spent.get(stage, [])
                    return spent[index] if index < len(spent) and stage != "copy" else 0.0

                age_ms = (now_s - frame.captured_s) * 1e3
                calls.append({WHOLE: age_ms, **split(result.speed, of_frame)})
                self.segments.append(len(result))
                if taken >= _FEWEST and now_s - start_s >= seconds:
                    break
            after = flow.stats.snapshot()
        seconds_s = now_s - start_s
        fps_in, fps_out = (after.captured - before.captured) / seconds_s, taken / seconds_s
        self.passes.append(Pass(fps_in, fps_out, after.dropped - before.dropped))
        return Block(tuple(calls), fps_out)

    def call(self) -> Times:
        start = time.perf_counter()
        self.frames.prepare()
        self.opened.process(self.frames.capture()).mask_crops()
        return {WHOLE: (time.perf_counter() - start) * 1e3}
