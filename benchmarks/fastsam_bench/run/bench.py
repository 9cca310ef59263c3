"""Bench: a whole run, from the models that are opened to the last record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastsam_bench.cases.case import ModelCase
from fastsam_bench.cases.frames import DrawnFrames
from fastsam_bench.cases.opened_model import OpenedModel
from fastsam_bench.results.records import Cell, End, Failed, Record, Run
from fastsam_bench.results.results_file import ResultsWriter
from fastsam_bench.roofline.cell_limits import Limits
from fastsam_bench.roofline.shape_inference import load_onnx
from fastsam_bench.run.cell import MeasuredCell
from fastsam_bench.run.plan import BenchOptions, Plan
from fastsam_bench.run.run_record import new_run_id, run_head
from fastsam_bench.scenarios.cold_start import measure_cold
from fastsam_bench.scenarios.memory import measure_memory
from fastsam_bench.scenarios.segment_sweep import COUNTS, measure_sweep
from fastsam_bench.timing.gpu_watch import GpuWatch
from fastsam_engine import Session
from fastsam_engine.errors import FastsamError, one_line
from fastsam_trt.clip.model import Clip
from fastsam_trt.errors import OptionError

_QUICK_COUNTS, _QUICK_ROUNDS, _ROUNDS = (5, 20, 50), 3, 6
_MOST_PASSES = 2  # times those that are planned, where something else used the processors
_QUICK_SAMPLES, _SAMPLES = 2, 7
_QUICK_STARTS, _STARTS = 3, 6

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Part:
    """A request of the run, with its models open."""

    plan: Plan
    opened: list[OpenedModel]

    def distinct(self) -> Iterable[OpenedModel]:
        """The models without those that a precision of `auto` made the same as another."""
        sessions = ((each.session, each) for each in self.opened)
        return {(each.name, s.backend, s.device, s.precision): each for s, each in sessions}.values()


class Bench:
    """A run. Opening it checks the whole request; `records` does the work.

    Several requests may share a run: all their cells take turns in its passes, so that those of a short request see as
    much of a machine that drifts as those of a long one.

    Attributes:
        remarks: What was left out, in words; it grows.
    """

    def __init__(self, requests: Sequence[BenchOptions], show: Show = lambda _: None) -> None:
        """Open all models.

        Args:
            requests: What to measure, one or more; `seconds` and `quick` are the same in all.
            show: Told what is done.

        Raises:
            FastsamError: Something that was asked for can't be had.
        """
        load_onnx()
        self._options = requests[0]
        if len({(each.cell_seconds, each.quick) for each in requests}) > 1:
            expected = "the same, as is --quick, in all requests of a run"
            raise OptionError("seconds", expected, [each.cell_seconds for each in requests])
        plans = [Plan.of(options) for options in requests]
        self._show = show
        self._gpus = GpuWatch()
        self.remarks = [remark for plan in plans for remark in plan.remarks]
        self.remarks += [self._gpus.remark] if self._gpus.remark else []
        self._clips: dict[tuple[str, ...], Clip] = {}
        self._parts = [_Part(plan, [self._open(case) for case in plan.models]) for plan in plans]
        _name_apart([opened for part in self._parts for opened in part.opened])
        cells = (
            MeasuredCell(case, opened, self._gpus)
            for part in self._parts
            for opened in part.opened
            for case in part.plan.cells(opened)
        )
        self._cells = list({cell.id: cell for cell in cells}.values())  # `auto` may be what was named, too
        self._limits = Limits(_QUICK_SAMPLES if self._options.quick else _SAMPLES)
        self._told: set[str] = set()

    def head(self, command: tuple[str, ...]) -> Run:
        """The first record."""
        return run_head(self._gpus, command, tuple(cell.id for cell in self._cells))

    def records(self) -> Iterator[Record]:
        """Measure everything, and give the records after the first as they are made.

        Raises:
            FastsamError: As the constructor; what a single cell fails with becomes a record.
        """
        start = time.perf_counter()
        yield from self._limits.measure(self._sessions(), self._show)
        failed = 0
        for record in self._measure_cells():
            failed += isinstance(record, Failed)
            yield record
        for part in self._parts:
            if "sweep" in part.plan.options.scenarios:
                yield from self._sweeps(part)
            if "cold" in part.plan.options.scenarios:
                yield from self._colds(part)
        cells = len(self._told) - failed
        yield End(cells=cells, failed=failed, seconds=time.perf_counter() - start)

    def salvaged(self) -> Iterator[Cell]:
        """The cells that were begun and not told yet, when `records` was stopped."""
        for cell in self._cells:
            if cell.begun and cell.id not in self._told:
                self._told.add(cell.id)
                yield cell.record(self._limits, self._options.passes)

    def close(self) -> None:
        """Let go of files."""
        for cell in self._cells:
            cell.close()

    def _measure_cells(self) -> Iterator[Record]:
        options = self._options
        block_s = options.cell_seconds / options.passes
        most, midway = options.passes, None
        if not options.quick:
            most, midway = _MOST_PASSES * options.passes, options.passes // 2
        for turn in range(most):
            if turn == midway:  # what the machine can do is not the same all the time
                yield from self._limits.measure_again(self._show)
            for cell in self._cells:
                if cell.id in self._told:
                    continue
                self._show(f"{_which(turn, options.passes)}: {cell.id}")
                try:
                    cell.measure(options.cell_seconds, block_s)
                    if turn == most - 1 or (turn >= options.passes - 1 and cell.quiet() >= options.passes):
                        if not options.quick:
                            cell.memory = measure_memory(cell.case)
                        record = cell.record(self._limits, options.passes)
                        self._told.add(cell.id)
                        yield record
                except Exception as error:  # noqa: BLE001 - one cell's failure is a figure of the run, not its end
                    self._told.add(cell.id)
                    yield Failed(id=cell.id, error=_told(error))

    def _sweeps(self, part: _Part) -> Iterator[Record]:
        counts, rounds = (_QUICK_COUNTS, _QUICK_ROUNDS) if self._options.quick else (COUNTS, _ROUNDS)
        for opened in part.distinct():
            clip = self._clip(opened.case.clip, opened.case) if opened.case.clip else None
            try:
                for found in measure_sweep(opened, clip, counts, rounds, self._show):
                    if isinstance(found, str):
                        self.remarks.append(found)
                    else:
                        yield found
            except Exception as error:  # noqa: BLE001 - as of a cell
                self.remarks.append(f"sweep of {opened.name}: {_told(error)}")

    def _colds(self, part: _Part) -> Iterator[Record]:
        starts = _QUICK_STARTS if self._options.quick else _STARTS
        size = part.plan.sizes[-1]
        picture = DrawnFrames(size, pictures=1).encoded[0].tobytes()
        for opened in part.distinct():
            session, placed = opened.session, opened.placed(size)
            told = opened.name, session.backend, session.precision
            sized = opened.image.size_multiple is not None
            shape = (placed.input_h, placed.input_w) if sized else None
            try:
                yield from measure_cold(opened.case, told, shape, picture, starts, self._show)
            except Exception as error:  # noqa: BLE001 - as of a cell
                self.remarks.append(f"cold starts of {opened.name}: {_told(error)}")

    def _sessions(self) -> Iterator[Session]:
        for opened in (each for part in self._parts for each in part.opened):
            yield opened.session
            if opened.case.clip is not None:
                yield self._clip(opened.case.clip, opened.case).session

    def _open(self, case: ModelCase) -> OpenedModel:
        self._show(f"opening {case.model}")
        return OpenedModel(case, lambda name: self._clip(name, case))

    def _clip(self, name: str, case: ModelCase) -> Clip:
        key = (name, case.backend, case.device, case.precision)
        if key not in self._clips:
            self._clips[key] = Clip(name, backend=case.backend, device=case.device, precision=case.precision)
        return self._clips[key]


def record(path: Path, bench: Bench, command: tuple[str, ...]) -> bool:
    """Measure, and add the records to a file of results; True where Ctrl-C stopped that.

    Args:
        path: Of the file; made if need be.
        bench: What to measure.
        command: As typed.

    Raises:
        FastsamError: As `Bench.records`.
        OSError: The file can't be written.
    """
    with ResultsWriter(path, new_run_id()) as writer:
        writer.write(bench.head(command))
        try:
            for each in bench.records():
                writer.write(each)
        except KeyboardInterrupt:
            for cell in bench.salvaged():
                writer.write(cell)
            return True
    return False


def _which(turn: int, passes: int) -> str:
    return f"pass {turn + 1} of {passes}" if turn < passes else "once more, for a pass that was disturbed"


def _name_apart(opened: list[OpenedModel]) -> None:
    """Call models by what was asked for where two files say the same name of themselves."""
    files: dict[str, set[str]] = {}
    for each in opened:
        files.setdefault(each.name, set()).add(str(each.session.path))
    for each in opened:
        if len(files[each.session.spec.name]) > 1:
            each.name = each.case.model


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, FastsamError) else f"{type(error).__name__}: {one_line(error)}"
