"""Do a whole run of the benchmark: open the models, measure all cells, and record the results."""

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
_MOST_PASSES = 2  # times the planned passes, if something else used the CPU
_QUICK_SAMPLES, _SAMPLES = 2, 7
_QUICK_STARTS, _STARTS = 3, 6

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Part:
    """One request of the run, with its open models."""

    plan: Plan
    opened: list[OpenedModel]

    def distinct(self) -> Iterable[OpenedModel]:
        """The models without duplicates, which arise if precision `auto` equals another requested one."""
        sessions = ((each.session, each) for each in self.opened)
        return {(each.name, s.backend, s.device, s.precision): each for s, each in sessions}.values()


class Bench:
    """One run. The constructor checks the whole request; `records` does the work.

    Several requests may share a run. The cells of all requests take turns in each pass, so that a drift of the machine
    affects them equally.

    Attributes:
        notes: What was left out, and why. The list grows during the run.
    """

    def __init__(self, requests: Sequence[BenchOptions], show: Show = lambda _: None) -> None:
        """Open all models.

        Args:
            requests: At least one request; `seconds` and `quick` must be the same in all.
            show: Called with a description of each step.

        Raises:
            FastsamError: A request can't be fulfilled.
        """
        load_onnx()
        self._options = requests[0]
        if len({(each.cell_seconds, each.quick) for each in requests}) > 1:
            expected = "the same value, and the same --quick, in all requests of a run"
            raise OptionError("seconds", expected, [each.cell_seconds for each in requests])
        plans = [Plan.of(options) for options in requests]
        self._show = show
        self._gpus = GpuWatch()
        self.notes = [note for plan in plans for note in plan.notes]
        self.notes += [self._gpus.note] if self._gpus.note else []
        self._clips: dict[tuple[str, ...], Clip] = {}
        self._parts = [_Part(plan, [self._open(case) for case in plan.models]) for plan in plans]
        _name_apart([opened for part in self._parts for opened in part.opened])
        cells = (
            MeasuredCell(case, opened, self._gpus)
            for part in self._parts
            for opened in part.opened
            for case in part.plan.cells(opened)
        )
        self._cells = list({cell.id: cell for cell in cells}.values())  # `auto` may equal a named precision
        self._limits = Limits(_QUICK_SAMPLES if self._options.quick else _SAMPLES)
        self._reported: set[str] = set()

    def head(self, command: tuple[str, ...]) -> Run:
        """The first record."""
        return run_head(self._gpus, command, tuple(cell.id for cell in self._cells))

    def records(self) -> Iterator[Record]:
        """Measure everything, and yield the records after the first one as they are made.

        Raises:
            FastsamError: See the constructor. The error of a single cell becomes a record instead.
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
        cells = len(self._reported) - failed
        yield End(cells=cells, failed=failed, seconds=time.perf_counter() - start)

    def salvaged(self) -> Iterator[Cell]:
        """The records of cells that were begun but not reported when `records` was stopped."""
        for cell in self._cells:
            if cell.begun and cell.id not in self._reported:
                self._reported.add(cell.id)
                yield cell.record(self._limits, self._options.passes)

    def close(self) -> None:
        """Close files."""
        for cell in self._cells:
            cell.close()

    def _measure_cells(self) -> Iterator[Record]:
        options = self._options
        block_s = options.cell_seconds / options.passes
        most, midway = options.passes, None
        if not options.quick:
            most, midway = _MOST_PASSES * options.passes, options.passes // 2
        for turn in range(most):
            if turn == midway:  # the speed of the machine changes over time
                yield from self._limits.measure_again(self._show)
            for cell in self._cells:
                if cell.id in self._reported:
                    continue
                self._show(f"{_which(turn, options.passes)}: {cell.id}")
                try:
                    cell.measure(options.cell_seconds, block_s)
                    if turn == most - 1 or (turn >= options.passes - 1 and cell.quiet() >= options.passes):
                        if not options.quick:
                            cell.memory = measure_memory(cell.case)
                        record = cell.record(self._limits, options.passes)
                        self._reported.add(cell.id)
                        yield record
                except Exception as error:  # noqa: BLE001 - the failure of one cell is a result, not the end of the run
                    self._reported.add(cell.id)
                    yield Failed(id=cell.id, error=_message(error))

    def _sweeps(self, part: _Part) -> Iterator[Record]:
        counts, rounds = (_QUICK_COUNTS, _QUICK_ROUNDS) if self._options.quick else (COUNTS, _ROUNDS)
        for opened in part.distinct():
            clip = self._clip(opened.case.clip, opened.case) if opened.case.clip else None
            try:
                for found in measure_sweep(opened, clip, counts, rounds, self._show):
                    if isinstance(found, str):
                        self.notes.append(found)
                    else:
                        yield found
            except Exception as error:  # noqa: BLE001 - as for a cell
                self.notes.append(f"sweep of {opened.name}: {_message(error)}")

    def _colds(self, part: _Part) -> Iterator[Record]:
        starts = _QUICK_STARTS if self._options.quick else _STARTS
        size = part.plan.sizes[-1]
        picture = DrawnFrames(size, pictures=1).encoded[0].tobytes()
        for opened in part.distinct():
            session, placed = opened.session, opened.placed(size)
            engine = opened.name, session.backend, session.precision
            sized = opened.image.size_multiple is not None
            shape = (placed.input_h, placed.input_w) if sized else None
            try:
                yield from measure_cold(opened.case, engine, shape, picture, starts, self._show)
            except Exception as error:  # noqa: BLE001 - as for a cell
                self.notes.append(f"cold starts of {opened.name}: {_message(error)}")

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
    """Measure, and append the records to a file of results; returns whether Ctrl-C stopped the run.

    Args:
        path: The file; created if it does not exist.
        bench: The run.
        command: The command line.

    Raises:
        FastsamError: See `Bench.records`.
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
    return f"pass {turn + 1} of {passes}" if turn < passes else "again, for a pass that was disturbed"


def _name_apart(opened: list[OpenedModel]) -> None:
    """Name models as requested if two files have the same model name."""
    files: dict[str, set[str]] = {}
    for each in opened:
        files.setdefault(each.name, set()).add(str(each.session.path))
    for each in opened:
        if len(files[each.session.spec.name]) > 1:
            each.name = each.case.model


def _message(error: Exception) -> str:
    return str(error) if isinstance(error, FastsamError) else f"{type(error).__name__}: {one_line(error)}"
