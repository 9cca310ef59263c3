"""Recorded runs, grouped by machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from fastsam_bench.results.records import Ceiling, Cell, Cold, End, Failed, Host, Peer, Record, Run, Sweep

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class BenchRun:
    """The records of a run.

    Attributes:
        name: Id of the run.
        file: Name of its file.
        run: The first record.
        records: The other records, in order.
        end: The last record; None if the run was stopped.
    """

    name: str
    file: str
    run: Run
    records: tuple[Record, ...]
    end: End | None

    def of(self, kind: type[_T]) -> tuple[_T, ...]:
        """The records of a kind, in order."""
        return tuple(record for record in self.records if isinstance(record, kind))

    @property
    def partial(self) -> bool:
        """Whether it was stopped before its end."""
        return self.end is None

    @property
    def missing(self) -> tuple[str, ...]:
        """Ids of planned cells that were neither measured nor failed."""
        done = {record.id for record in self.records if isinstance(record, (Cell, Failed))}
        return tuple(name for name in self.run.planned if name not in done)


@dataclass(frozen=True, slots=True)
class Results:
    """Runs in the order of time, and notes on what was left out when they were read."""

    runs: tuple[BenchRun, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MachineRuns:
    """The runs of one machine in the order of time. The last of repeated measurements counts, the highest ceiling."""

    runs: tuple[BenchRun, ...]

    @property
    def host(self) -> Host:
        """The machine, as recorded by its last run."""
        return self.runs[-1].run.machine

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Cells with different ids, in the planned order, which differs from the order in which they finish."""
        measured = {cell.id: cell for run in self.runs for cell in run.of(Cell)}
        planned = (name for run in self.runs for name in run.run.planned)
        return tuple(measured[name] for name in dict.fromkeys((*planned, *measured)) if name in measured)

    @property
    def ceilings(self) -> tuple[Ceiling, ...]:
        """The ceilings of each backend, device and precision."""
        highest: dict[tuple[str, str, str], Ceiling] = {}
        for found in (ceiling for run in self.runs for ceiling in run.of(Ceiling)):
            key = (found.backend, found.device, found.precision)
            highest[key] = highest[key].or_higher(found) if key in highest else found
        return tuple(highest.values())

    @property
    def sweeps(self) -> tuple[Sweep, ...]:
        """The sweeps, one per case."""
        return tuple({sweep_key(each): each for run in self.runs for each in run.of(Sweep)}.values())

    @property
    def colds(self) -> tuple[Cold, ...]:
        """The cold starts, one per case."""
        return tuple({cold_key(each): each for run in self.runs for each in run.of(Cold)}.values())

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The peers, one per comparison."""
        return tuple({(p.peer, p.model, p.ours): p for run in self.runs for p in run.of(Peer)}.values())

    @property
    def failed(self) -> tuple[Failed, ...]:
        """Cells that failed in their last run."""
        last: dict[str, Cell | Failed] = {}
        for run in self.runs:
            last.update({each.id: each for each in run.records if isinstance(each, (Cell, Failed))})
        return tuple(each for each in last.values() if isinstance(each, Failed))


def by_machine(runs: Sequence[BenchRun]) -> tuple[MachineRuns, ...]:
    """Group runs by processor, cores, kind of system and GPUs, in the order in which the machines first appear."""
    groups: dict[tuple[object, ...], list[BenchRun]] = {}
    for run in sorted(runs, key=lambda run: run.run.time):
        host = run.run.machine
        system = host.system.partition("-")[0]
        key = (host.processor, host.cores, system, tuple(gpu.name for gpu in host.gpus))
        groups.setdefault(key, []).append(run)
    return tuple(MachineRuns(tuple(group)) for group in groups.values())


def sweep_key(sweep: Sweep) -> tuple[str | int, ...]:
    """The case of a sweep, without its time."""
    return (sweep.model, sweep.backend, sweep.precision, *sweep.frame, sweep.selector, sweep.side, sweep.segments)


def cold_key(cold: Cold) -> tuple[str, ...]:
    """The case of a cold start, without its time."""
    return (cold.model, cold.backend, cold.precision, "cached" if cold.cached else "new")
