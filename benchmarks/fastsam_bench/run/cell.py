"""Measure a cell block by block, and make its record.

Blocks in which the host or other processes used much CPU time are set aside and repeated, since their times do not
describe this program. This is decided by the counters of the system, never by the times themselves. If too few
undisturbed blocks remain, all blocks count, and the record warns that the machine was noisy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import compress

import numpy as np

from fastsam_bench.cases.case import CellCase
from fastsam_bench.cases.opened_model import OpenedModel
from fastsam_bench.results.records import Cell, Latency, Live, Memory, Rate, StageTime
from fastsam_bench.roofline.cell_limits import Limits
from fastsam_bench.scenarios import LiveStream, make_scenario
from fastsam_bench.scenarios.live_stream import SOURCE_FPS
from fastsam_bench.timing.blocks import CHANGING, WHOLE, Block, WarmUp, percentile, state_rate, state_stage, thinned
from fastsam_bench.timing.gpu_watch import GpuWatch, middle
from fastsam_bench.timing.noise import NoiseWatch, warnings

_QUIET_ENOUGH = 0.5  # share of the planned blocks; with fewer undisturbed ones all blocks count


class MeasuredCell:
    """A cell and its blocks so far.

    Attributes:
        id: Unique in a run, and the same in every run.
        case: The case to measure.
        memory: Peak memory, once it is measured.
    """

    def __init__(self, case: CellCase, opened: OpenedModel, gpus: GpuWatch) -> None:
        """Prepare its frames; nothing is timed yet."""
        self.case, self.opened = case, opened
        self._scenario = make_scenario(case, opened)
        self._gpus = gpus
        self._noise = NoiseWatch()
        self._warm: WarmUp | None = None
        self._blocks: list[Block] = []
        self._power_w: list[float] = []
        self._clock_mhz: list[float] = []
        self.memory: Memory | None = None
        placed = opened.placed(case.size)
        self._input = placed.input_h, placed.input_w
        session = opened.session
        self._clip = opened.pipeline.clip.name if case.crops and opened.pipeline.clip is not None else None
        crops = f"c{case.crops}" + (f"@{self._clip}" if self._clip else "")
        parts = (case.scenario, opened.name, session.backend, session.device, session.precision, f"b{case.batch}",
                 "{}x{}".format(*self._input), crops, "f{}x{}".format(*case.size))  # fmt: skip
        self.id = "/".join(parts)

    @property
    def begun(self) -> bool:
        """Whether any block was timed."""
        return bool(self._blocks)

    def measure(self, warmup_s: float, block_s: float) -> None:
        """Time one block; before the first, warm up."""
        self._scenario.enter()
        if self._warm is None:
            self._warm = self._scenario.warm_up(warmup_s)
        sampler = self._gpus.sample(self.opened.session.device)
        with self._noise.block(), sampler:
            block = self._scenario.block(block_s)
        self._blocks.append(block)
        for kept, values in zip((self._power_w, self._clock_mhz), sampler.values, strict=False):
            kept.extend(values)

    def quiet(self) -> int:
        """Number of undisturbed blocks."""
        return sum(self._quiet())

    def close(self) -> None:
        """Close the frames."""
        self._scenario.close()

    def record(self, limits: Limits, passes: int) -> Cell:
        """The record of the blocks so far, of which there must be one.

        Args:
            limits: Limits, with the ceilings of its engine measured.
            passes: Number of planned blocks.
        """
        case, opened = self.case, self.opened
        counted = self._counted(passes)
        blocks = list(compress(self._blocks, counted))
        calls = [call for block in blocks for call in block.calls]
        stages = {
            stage: _stage(blocks, stage)
            for stage in dict.fromkeys(name for call in calls for name in call if name != WHOLE)
        }
        fps = state_rate(blocks)
        warm = self._warm or WarmUp(0, steady=False, limit_s=0.0, last_ms=0.0)
        networks = {} if case.scenario == "live" else {stage: time.p50 for stage, time in stages.items()}
        return Cell(
            id=self.id,
            scenario=case.scenario,
            model=opened.name,
            family=opened.session.spec.family,
            clip=self._clip,
            backend=opened.session.backend,
            device=opened.session.device,
            precision=opened.session.precision,
            batch=case.batch,
            frame=case.size,
            input=self._input,
            crops=case.crops,
            segments=round(float(np.mean(self._scenario.segments))),
            runs=len(calls),
            warmup_runs=warm.runs,
            steady=warm.steady,
            fps=Rate(fps.median, fps.low, fps.high),
            latency_ms=_latency(blocks, [call[WHOLE] for call in calls]),
            stages=stages,
            samples_ms=thinned([call[WHOLE] for call in calls]),
            memory_mb=self.memory,
            power_w=middle(self._power_w),
            clock_mhz=middle(self._clock_mhz),
            limits=limits.of_cell(opened, self._scenario.shapes, networks),
            set_aside=counted.count(False),
            warnings=self._warnings(warm, passes, counted),
            live=self._live(blocks, counted),
        )

    def _quiet(self) -> list[bool]:
        return [not block.disturbed for block in self._noise.blocks]

    def _counted(self, passes: int) -> list[bool]:
        """Which blocks count: the undisturbed ones, or all."""
        quiet = self._quiet()
        return quiet if sum(quiet) >= math.ceil(_QUIET_ENOUGH * passes) else [True] * len(quiet)

    def _warnings(self, warm: WarmUp, passes: int, counted: Sequence[bool]) -> tuple[str, ...]:
        found = [] if self._scenario.note is None else [self._scenario.note]
        if not warm.steady:
            found.append(f"{CHANGING} after {warm.runs} calls and {warm.limit_s:g} s of warm-up")
        if len(self._blocks) < passes:
            found.append(f"stopped after {len(self._blocks)} of {passes} passes")
        return (*found, *warnings(list(compress(self._noise.blocks, counted))))

    def _live(self, blocks: Sequence[Block], counted: Sequence[bool]) -> Live | None:
        if not isinstance(self._scenario, LiveStream):
            return None
        passes = list(compress(self._scenario.passes, counted))
        return Live(
            age_p50_ms=state_stage(blocks, WHOLE).median,
            age_p99_ms=percentile(blocks, WHOLE, 99),
            fps_in=float(np.median([each.fps_in for each in passes])),
            fps_out=float(np.median([each.fps_out for each in passes])),
            dropped=sum(each.dropped for each in passes),
            source_fps=SOURCE_FPS,
        )


def _latency(blocks: Sequence[Block], spent: Sequence[float]) -> Latency:
    stated = state_stage(blocks, WHOLE)
    p90, p99 = (max(percentile(blocks, WHOLE, rank), stated.median) for rank in (90, 99))
    return Latency(
        p50=stated.median,
        p90=p90,
        p99=p99,
        min=min(spent),
        max=max(spent),
        mean=float(np.mean(spent)),
        low=stated.low,
        high=stated.high,
    )


def _stage(blocks: Sequence[Block], stage: str) -> StageTime:
    stated = state_stage(blocks, stage)
    return StageTime(stated.median, max(percentile(blocks, stage, 99), stated.median), stated.low, stated.high)
