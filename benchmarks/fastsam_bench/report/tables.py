"""Tables of the reports; doubts about a result are in its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastsam_bench.report.formatting import (
    SCENARIOS,
    case,
    doubts,
    engine,
    limit,
    model,
    shape,
    short_doubts,
    significant,
    spread,
    stage_names,
)
from fastsam_bench.results.records import Ceiling, Cell, Cold, Failed, Peer, Sweep


@dataclass(frozen=True, slots=True)
class Table:
    """A header and rows; `texts` are the indices of columns without numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: frozenset[int]

    @classmethod
    def of(cls, columns: Sequence[tuple[str, Sequence[str]]], texts: Sequence[str]) -> Table:
        """Make a table of columns, without columns that are empty in every row."""
        kept = [(name, cells) for name, cells in columns if any(cell not in {"", "-"} for cell in cells)]
        header = tuple(name for name, _ in kept)
        rows = tuple(zip(*(cells for _, cells in kept), strict=True))
        return cls(header, rows, frozenset(i for i, name in enumerate(header) if name in texts))


def cells_table(cells: Sequence[Cell], machines: Sequence[str] = ()) -> Table:
    """FPS, latency, limits and memory, one row per cell; `machines` are the names of the cells' machines."""
    return Table.of(
        [
            ("machine", machines or [""] * len(cells)),
            ("model", [model(cell) for cell in cells]),
            ("engine", [engine(cell) for cell in cells]),
            ("scenario", [SCENARIOS[cell.scenario] for cell in cells]),
            ("batch", [str(cell.batch) for cell in cells]),
            ("frame", [shape(cell.frame) for cell in cells]),
            ("input", [shape(cell.input) for cell in cells]),
            ("crops", [str(cell.crops) for cell in cells]),
            ("segments", [str(cell.segments) for cell in cells]),
            ("FPS (95 %)", [spread(cell.fps) for cell in cells]),
            ("p50 ms (95 %)", [spread(cell.latency_ms) for cell in cells]),
            ("p90", [significant(cell.latency_ms.p90) for cell in cells]),
            ("p99", [significant(cell.latency_ms.p99) for cell in cells]),
            ("of the limit", [limit(cell) for cell in cells]),
            ("host MB", [_optional(cell.memory_mb.host_peak if cell.memory_mb else None) for cell in cells]),
            ("device MB", [_optional(cell.memory_mb.device_peak if cell.memory_mb else None) for cell in cells]),
            ("W", [_optional(cell.power_w) for cell in cells]),
            ("MHz", [_optional(cell.clock_mhz) for cell in cells]),
            ("calls", [f"{cell.runs} after {cell.warmup_runs}" for cell in cells]),
            ("blocks set aside", [str(cell.set_aside or "-") for cell in cells]),
            ("doubts", ["; ".join(doubts(cell)) for cell in cells]),
        ],
        texts=("machine", "model", "engine", "scenario", "of the limit", "doubts"),
    )


def short_table(cells: Sequence[Cell]) -> Table:
    """The short table for a README: FPS, latency and limit of each cell."""
    return Table.of(
        [
            ("model", [model(cell) for cell in cells]),
            ("case", [case(cell) for cell in cells]),
            ("FPS (95 %)", [spread(cell.fps) for cell in cells]),
            ("p50 / p99 ms", [f"{significant(c.latency_ms.p50)} / {significant(c.latency_ms.p99)}" for c in cells]),
            ("of the limit", [limit(cell) for cell in cells]),
            ("doubts", [", ".join(short_doubts(cell)) for cell in cells]),
        ],
        texts=("model", "case", "of the limit", "doubts"),
    )


def stages_table(cells: Sequence[Cell]) -> Table:
    """p50 and p99 of each stage, one row per cell."""
    columns = [("model", [model(cell) for cell in cells]), ("case", [case(cell) for cell in cells])]
    for stage in stage_names(cells):
        times = [cell.stages.get(stage) for cell in cells]
        columns.append((stage, [f"{significant(t.p50)} / {significant(t.p99)}" if t else "-" for t in times]))
    columns.append(
        ("whole call", [f"{significant(c.latency_ms.p50)} / {significant(c.latency_ms.p99)}" for c in cells])
    )
    return Table.of(columns, texts=("model", "case"))


def latencies_table(cells: Sequence[Cell]) -> Table:
    """The spread of the times of whole calls, one row per cell."""
    statistics = ("min", "p50", "p90", "p99", "max", "mean")
    return Table.of(
        [
            ("model", [model(cell) for cell in cells]),
            ("case", [case(cell) for cell in cells]),
            *((name, [significant(getattr(cell.latency_ms, name)) for cell in cells]) for name in statistics),
        ],
        texts=("model", "case"),
    )


def limits_table(cells: Sequence[Cell]) -> Table:
    """Operations, bytes and their times at the ceilings, one row per stage with a limit."""
    rows = [(cell, stage, each) for cell in cells for stage, each in cell.limits.items()]
    measured = [cell.stages[stage].p50 if stage in cell.stages else None for cell, stage, _ in rows]
    return Table.of(
        [
            ("model", [model(cell) for cell, _, _ in rows]),
            ("case", [case(cell) for cell, _, _ in rows]),
            ("stage", [stage for _, stage, _ in rows]),
            ("GFLOP", [significant(each.gflop) for _, _, each in rows]),
            ("GB", [significant(each.gbytes) for _, _, each in rows]),
            ("FLOP / byte", [_over(each.gflop, each.gbytes) for _, _, each in rows]),
            ("GFLOP/s", [_over(1e3 * each.gflop, ms) for (_, _, each), ms in zip(rows, measured, strict=True)]),
            ("compute ms", [significant(each.compute_ms) for _, _, each in rows]),
            ("memory ms", [significant(each.memory_ms) for _, _, each in rows]),
            ("measured ms", [_optional(ms) for ms in measured]),
            ("of the limit", [f"{each.percent:.0f} %" for _, _, each in rows]),
            ("binds", [each.binds for _, _, each in rows]),
        ],
        texts=("model", "case", "stage", "binds"),
    )  # fmt: skip


def live_table(cells: Sequence[Cell]) -> Table:
    """Age of frames, rates and drops of live cells."""
    rows = [(cell, cell.live) for cell in cells if cell.live is not None]
    return Table.of(
        [
            ("model", [model(cell) for cell, _ in rows]),
            ("case", [case(cell) for cell, _ in rows]),
            ("source FPS", [significant(live.source_fps) for _, live in rows]),
            ("FPS in", [significant(live.fps_in) for _, live in rows]),
            ("FPS out", [significant(live.fps_out) for _, live in rows]),
            ("age p50 ms", [significant(live.age_p50_ms) for _, live in rows]),
            ("age p99 ms", [significant(live.age_p99_ms) for _, live in rows]),
            ("dropped", [str(live.dropped) for _, live in rows]),
            ("doubts", ["; ".join(doubts(cell)) for cell, _ in rows]),
        ],
        texts=("model", "case", "doubts"),
    )


def colds_table(colds: Sequence[Cold]) -> Table:
    """Times from a new process to the first result."""
    parts = list(dict.fromkeys(part for cold in colds for part in cold.parts))
    return Table.of(
        [
            ("model", [cold.model for cold in colds]),
            ("engine", [f"{cold.backend} {cold.precision}" for cold in colds]),
            ("cache", ["filled" if cold.cached else "empty" for cold in colds]),
            ("first result ms (95 %)", [spread(cold.first_result_ms) for cold in colds]),
            *((part.replace("_", " "), [_optional(cold.parts.get(part)) for cold in colds]) for part in parts),
        ],
        texts=("model", "engine", "cache"),
    )


def sweeps_table(sweeps: Sequence[Sweep]) -> Table:
    """Times against segments, in our way and the usual one."""
    rows: dict[tuple[str, str, str, str, int], dict[str, Sweep]] = {}
    for each in sweeps:
        key = (each.model, f"{each.backend} {each.precision}", shape(each.frame), each.selector, each.segments)
        rows.setdefault(key, {})[each.side] = each
    both = [(sides.get("ours"), sides.get("usual")) for sides in rows.values()]
    return Table.of(
        [
            ("model", [key[0] for key in rows]),
            ("engine", [key[1] for key in rows]),
            ("frame", [key[2] for key in rows]),
            ("selector", [key[3] for key in rows]),
            ("segments", [str(key[4]) for key in rows]),
            ("ours ms (95 %)", [spread(ours.latency_ms) if ours else "-" for ours, _ in both]),
            ("usual way ms (95 %)", [spread(usual.latency_ms) if usual else "-" for _, usual in both]),
            ("usual / ours", [_over(usual.latency_ms.p50, ours.latency_ms.p50) if ours and usual else "-"
                              for ours, usual in both]),
        ],
        texts=("model", "engine", "selector"),
    )  # fmt: skip


def peers_table(peers: Sequence[Peer]) -> Table:
    """Times of other projects compared with ours, pair by pair."""
    agreements = [", ".join(f"{n} {v:.4g}" for n, v in peer.agreement.items() if v is not None) for peer in peers]
    return Table.of(
        [
            ("peer", [f"{peer.peer} {peer.version}" for peer in peers]),
            ("model", [peer.model for peer in peers]),
            ("ours", [peer.ours for peer in peers]),
            ("its ms (95 %)", [spread(peer.latency_ms) for peer in peers]),
            ("our ms (95 %)", [spread(peer.ours_ms) for peer in peers]),
            ("its / ours (95 %)", [spread(peer.ratio) for peer in peers]),
            ("agreement", agreements),
            ("note", [peer.note or "" for peer in peers]),
        ],
        texts=("peer", "model", "ours", "agreement", "note"),
    )


def ceilings_table(ceilings: Sequence[Ceiling]) -> Table:
    """The ceilings of the machine."""
    return Table.of(
        [
            ("engine", [f"{c.backend} {c.device} {c.precision}" for c in ceilings]),
            ("products GFLOP/s", [significant(c.matmul_gflops) for c in ceilings]),
            ("copy GB/s", [significant(c.copy_gbytes) for c in ceilings]),
        ],
        texts=("engine",),
    )


def failed_table(failed: Sequence[Failed]) -> Table:
    """Cells that could not be measured, and why."""
    columns = [("cell", [each.id for each in failed]), ("error", [each.error for each in failed])]
    return Table.of(columns, texts=("cell", "error"))


def _optional(value: float | None) -> str:
    return "-" if value is None else significant(value)


def _over(value: float, divisor: float | None) -> str:
    return significant(value / divisor) if divisor else "-"
