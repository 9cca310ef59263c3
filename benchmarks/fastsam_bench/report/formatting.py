"""Words and numbers that the reports share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from fastsam_bench.results.records import Cell, Host, Interval, Latency, Rate, StageTime
from fastsam_bench.results.runs import BenchRun, MachineRuns
from fastsam_bench.timing.blocks import CHANGING
from fastsam_bench.timing.noise import NOISY

SCENARIOS = {"single": "one at a time", "offline": "batches", "live": "live"}
STAGES = ("capture", "preprocess", "copy", "engine", "postprocess", "select", "clip", "decode")  # in a call's order
REST = "between stages"
_COARSE = 0.2  # of the median: an interval wider than this is told as noise
_SHORT_DOUBTS = (  # a word, how the doubts begin that it stands for, and what it means
    ("noisy", (NOISY,), "something else used the processor, or its speed changed"),
    ("unsettled", (CHANGING, "times had not settled"), "times still changed after the warm-up"),
    ("low threshold", ("threshold lowered",), "by itself the model found nothing to crop in some frame"),
    ("coarse", ("coarse",), "the interval of p50 is over a fifth of it wide"),
)


def significant(value: float) -> str:
    """A figure with three digits or so, never with an exponent."""
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
    """Backend and precision, and the device where it does not go without saying."""
    place = "" if cell.device == "cpu" or cell.backend.startswith("tensorrt") else f" {cell.device}"
    return f"{cell.backend}{place} {cell.precision}"


def model(cell: Cell) -> str:
    """Model, and the CLIP that takes part."""
    return cell.model if cell.clip is None else f"{cell.model} + {cell.clip}"


def case(cell: Cell) -> str:
    """All that tells a cell of a model from its others."""
    parts = [engine(cell), shape(cell.input)]
    if cell.scenario == "offline" or cell.batch > 1:
        parts.append(f"batches of {cell.batch}")
    if cell.scenario == "live":
        parts.append("live")
    if cell.crops:
        parts.append(f"{cell.crops} crops")
    return ", ".join(parts)


def stage_names(cells: Iterable[Cell]) -> list[str]:
    """The stages that appear, in the order of a call; those that are not known come last."""
    found = {stage for cell in cells for stage in cell.stages}
    return [*(stage for stage in STAGES if stage in found), *sorted(found.difference(STAGES))]


def limit(cell: Cell) -> str:
    """Percent of what the chip could do, stage by stage, and what binds."""
    told = [f"{stage} {each.percent:.0f} % ({each.binds})" for stage, each in cell.limits.items()]
    return ", ".join(told) or "-"


def doubts(cell: Cell) -> list[str]:
    """What makes a cell's figures doubtful."""
    told = list(cell.warnings)
    if not cell.steady and not any(warning.startswith(CHANGING) for warning in cell.warnings):
        told.append("times had not settled")
    if (cell.latency_ms.high - cell.latency_ms.low) > _COARSE * cell.latency_ms.p50:
        told.append("coarse: the interval of p50 is over a fifth of it wide")
    for stage, each in cell.limits.items():
        if each.percent > 100:
            told.append(f"{stage} beats the measured ceiling, which was measured too low")
    return told


def short_doubts(cell: Cell) -> list[str]:
    """The same, in a word each where `meanings` has one."""

    def short(doubt: str) -> str:
        return next((word for word, starts, _ in _SHORT_DOUBTS if doubt.startswith(starts)), doubt)

    return list(dict.fromkeys(map(short, doubts(cell))))


def meanings(cells: Iterable[Cell]) -> list[str]:
    """What the words mean that stand for the cells' doubts."""
    used = {word for cell in cells for word in short_doubts(cell)}
    return [f"{word}: {meaning}" for word, _, meaning in _SHORT_DOUBTS if word in used]


def shortfalls(run: BenchRun) -> list[str]:
    """What a run lacks."""
    told = []
    if run.partial:
        told.append(f"run {run.name} was stopped half-way; what it had measured is shown")
    if run.missing:
        told.append(f"run {run.name}: {len(run.missing)} planned cells were not measured: {', '.join(run.missing)}")
    return told


def title(host: Host) -> str:
    """A machine in a few words."""
    chips = ", ".join(gpu.name for gpu in host.gpus) or host.processor
    return f"{chips}, {host.cores} cores" if not host.gpus else f"{chips} ({host.processor}, {host.cores} cores)"


def facts(host: Host, memory_gb: float | None = None) -> list[tuple[str, str]]:
    """A machine and the versions on it, name by name."""
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
    """The date of an ISO time; the text itself where it is none."""
    try:
        return datetime.fromisoformat(time).date().isoformat()
    except ValueError:
        return time


def all_notes(machine: MachineRuns) -> list[str]:
    """What a machine's runs lack, and whether their versions differ."""
    told = [note for run in machine.runs for note in shortfalls(run)]
    versions = {tuple(sorted(run.run.machine.versions.items())) for run in machine.runs}
    if len(machine.runs) > 1:
        shown = "what was measured more than once is shown as last found, ceilings at their highest"
        told.append(f"figures of {len(machine.runs)} runs; {shown}")
    if len(versions) > 1:
        told.append("versions differ between these runs; those of the last are shown")
    return told
