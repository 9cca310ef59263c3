"""Format numbers, cells, machines and doubts for the reports."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from fastsam_bench.results.records import Cell, Host, Interval, Latency, Rate, StageTime
from fastsam_bench.results.runs import BenchRun, MachineRuns
from fastsam_bench.timing.blocks import CHANGING
from fastsam_bench.timing.noise import NOISY

SCENARIOS = {"single": "one at a time", "offline": "batches", "live": "live"}
STAGES = ("capture", "preprocess", "copy", "engine", "postprocess", "select", "clip", "decode")  # in order of a call
REST = "between stages"
_COARSE = 0.2  # relative width of an interval from which it is doubtful
_SHORT_DOUBTS = (  # short form, starts of the doubts that it stands for, and its meaning
    ("noisy", (NOISY,), "something else used the CPU, or its speed changed"),
    ("unsteady", (CHANGING, "times were not steady"), "times still changed after the warm-up"),
    ("low threshold", ("threshold lowered",), "at its default threshold the model found nothing to crop in some frame"),
    ("coarse", ("coarse",), "the interval of p50 is wider than a fifth of it"),
)


def significant(value: float) -> str:
    """A number with about three significant digits, never with an exponent."""
    size = abs(value)
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 or size == 0 else f"{value:.3f}"


def spread(value: Interval | Rate | Latency | StageTime) -> str:
    """A median with its interval."""
    middle = value.median if isinstance(value, Rate) else value.p50
    return f"{significant(middle)} ({significant(value.low)}-{significant(value.high)})"


def shape(size: tuple[int, int]) -> str:
    """Height x width."""
    return f"{size[0]}x{size[1]}"


def engine(cell: Cell) -> str:
    """Backend and precision, and the device unless it is obvious."""
    device = "" if cell.device == "cpu" or cell.backend.startswith("tensorrt") else f" {cell.device}"
    return f"{cell.backend}{device} {cell.precision}"


def model(cell: Cell) -> str:
    """The model, and its CLIP model if there is one."""
    return cell.model if cell.clip is None else f"{cell.model} + {cell.clip}"


def case(cell: Cell) -> str:
    """Everything that distinguishes the cells of a model."""
    parts = [engine(cell), shape(cell.input)]
    if cell.scenario == "offline" or cell.batch > 1:
        parts.append(f"batches of {cell.batch}")
    if cell.scenario == "live":
        parts.append("live")
    if cell.crops:
        parts.append(f"{cell.crops} crops")
    return ", ".join(parts)


def stage_names(cells: Iterable[Cell]) -> list[str]:
    """The stages of the cells, in the order of a call; unknown stages come last."""
    found = {stage for cell in cells for stage in cell.stages}
    return [*(stage for stage in STAGES if stage in found), *sorted(found.difference(STAGES))]


def limit(cell: Cell) -> str:
    """The percentage of the limit that each stage reaches, and what bounds it."""
    stages = [f"{stage} {each.percent:.0f} % ({each.binds})" for stage, each in cell.limits.items()]
    return ", ".join(stages) or "-"


def doubts(cell: Cell) -> list[str]:
    """The reasons to doubt the results of a cell."""
    found = list(cell.warnings)
    if not cell.steady and not any(warning.startswith(CHANGING) for warning in cell.warnings):
        found.append("times were not steady")
    if (cell.latency_ms.high - cell.latency_ms.low) > _COARSE * cell.latency_ms.p50:
        found.append("coarse: the interval of p50 is wider than a fifth of it")
    for stage, each in cell.limits.items():
        if each.percent > 100:
            found.append(f"{stage} exceeds its ceiling, which was measured too low")
    return found


def short_doubts(cell: Cell) -> list[str]:
    """The doubts of a cell in short form; see `meanings`."""

    def short(doubt: str) -> str:
        return next((word for word, starts, _ in _SHORT_DOUBTS if doubt.startswith(starts)), doubt)

    return list(dict.fromkeys(map(short, doubts(cell))))


def meanings(cells: Iterable[Cell]) -> list[str]:
    """The meanings of the short forms that occur."""
    used = {word for cell in cells for word in short_doubts(cell)}
    return [f"{word}: {meaning}" for word, _, meaning in _SHORT_DOUBTS if word in used]


def shortfalls(run: BenchRun) -> list[str]:
    """What is missing in a run."""
    found = []
    if run.partial:
        found.append(f"run {run.name} was stopped before its end; what it had measured is shown")
    if run.missing:
        found.append(f"run {run.name}: {len(run.missing)} planned cells were not measured: {', '.join(run.missing)}")
    return found


def title(host: Host) -> str:
    """A short description of a machine."""
    chips = ", ".join(gpu.name for gpu in host.gpus) or host.processor
    return f"{chips}, {host.cores} cores" if not host.gpus else f"{chips} ({host.processor}, {host.cores} cores)"


def facts(host: Host, memory_gb: float | None = None) -> list[tuple[str, str]]:
    """The facts of a machine and its versions, by name."""
    rows = [("processor", f"{host.processor}, {host.cores} cores")]
    if memory_gb is not None:
        rows.append(("memory", f"{significant(memory_gb)} GB"))
    for gpu in host.gpus:
        memory = "" if gpu.memory_mb is None else f", {gpu.memory_mb / 1000:.0f} GB"
        driver = "" if gpu.driver is None else f", driver {gpu.driver}"
        rows.append(("GPU", f"{gpu.name}{memory}{driver}"))
    rows += [("system", host.system), ("Python", host.python)]
    rows.append(("versions", ", ".join(f"{name} {version}" for name, version in host.versions.items())))
    return rows


def day(time: str) -> str:
    """The date of an ISO 8601 time; any other text is returned unchanged."""
    try:
        return datetime.fromisoformat(time).date().isoformat()
    except ValueError:
        return time


def all_notes(machine: MachineRuns) -> list[str]:
    """Notes on the runs of a machine: what is missing, and whether their versions differ."""
    found = [note for run in machine.runs for note in shortfalls(run)]
    versions = {tuple(sorted(run.run.machine.versions.items())) for run in machine.runs}
    if len(machine.runs) > 1:
        shown = "of repeated measurements the last is shown, of ceilings the highest"
        found.append(f"results of {len(machine.runs)} runs; {shown}")
    if len(versions) > 1:
        found.append("versions differ between these runs; those of the last run are shown")
    return found
