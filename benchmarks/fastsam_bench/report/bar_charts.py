"""Bar charts of the page of results, each with the table of its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from fastsam_bench.report import tables
from fastsam_bench.report.formatting import REST, case, doubts, significant, stage_names
from fastsam_bench.report.svg import axes
from fastsam_bench.report.svg.palette import colour, stage_colour
from fastsam_bench.report.svg.rows import Bar, Dot, Group, Mark, Row, Sign, Span, rows_chart
from fastsam_bench.report.tables import Table
from fastsam_bench.results.records import Cell, Cold, Peer

_BINS, _FASTEST, _SLOWEST = 50, 0.75, 2.0  # bins and range of the distributions, relative to the median
_SHADES = (20, 40, 60, 80, 100)


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its texts and its table.

    Attributes:
        title, note: What it shows, and how to read it.
        svg: The drawing.
        table: The numbers of the chart.
        legend: Colours and names, in order.
        points: Names of numbered points, in order.
    """

    title: str
    note: str
    svg: str
    table: Table
    legend: tuple[tuple[str, str], ...] = ()
    points: tuple[str, ...] = ()


def speed(name: str, machines: Sequence[tuple[str, Sequence[Cell]]]) -> list[Chart]:
    """Frames per second of every cell: one chart per model, all machines side by side.

    Args:
        name: Prefix of the names of the drawings.
        machines: Short name and cells of each machine; the name of a single machine is empty.
    """
    found: dict[str, list[tuple[int, str, Cell]]] = {}
    for index, (machine, cells) in enumerate(machines):
        for cell in cells:
            found.setdefault(cell.model, []).append((index, machine, cell))
    return [_speed(f"{name}-{i}", model, cells) for i, (model, cells) in enumerate(found.items())]


def _speed(name: str, model: str, cells: Sequence[tuple[int, str, Cell]]) -> Chart:
    rows = []
    for index, machine, cell in cells:
        label = f"{machine}: {case(cell)}" if machine else case(cell)
        shown = f"{significant(cell.fps.median)} FPS"
        marks: list[Sign] = [
            Bar(0, cell.fps.median, colour(index), f"{cell.id}: {shown}"),
            Span(cell.fps.low, cell.fps.high),
        ]
        rows.append(Row(label, shown, marks, bool(doubts(cell))))
    scale = axes.linear(rate for *_, cell in cells for rate in (cell.fps.median, cell.fps.high))
    described = f"Frames per second of {model}: " + "; ".join(f"{row.label} {row.value}" for row in rows)
    return Chart(
        model,
        "Frames per second, with 95 percent intervals.",
        rows_chart(name, f"Frames per second: {model}", described, [Group("", rows)], scale),
        tables.cells_table([cell for *_, cell in cells], [machine for _, machine, _ in cells]),
        legend=tuple(dict.fromkeys((colour(index), machine) for index, machine, _ in cells if machine)),
    )


def stages(name: str, cells: Sequence[Cell]) -> Chart | None:
    """The shares of the stages in the time of a call."""
    if not any(cell.stages for cell in cells):
        return None
    names = stage_names(cells)
    groups: dict[str, list[Row]] = {}
    rest_seen = False
    for cell in cells:
        parts = [(stage, cell.stages[stage].p50) for stage in names if stage in cell.stages]
        between = cell.latency_ms.p50 - sum(ms for _, ms in parts)
        if between > 0.005 * cell.latency_ms.p50:
            parts.append((REST, between))
            rest_seen = True
        total = sum(ms for _, ms in parts) or 1.0
        ends = list(accumulate((ms / total for _, ms in parts), initial=0.0))
        marks: list[Sign] = [
            Bar(100 * start, 100 * end, stage_colour(stage), f"{stage}: {significant(ms)} ms, {ms / total:.0%}",
                40 if stage == REST else 100)
            for (stage, ms), start, end in zip(parts, ends[:-1], ends[1:], strict=True)
        ]  # fmt: skip
        value = f"{significant(cell.latency_ms.p50)} ms"
        groups.setdefault(cell.model, []).append(Row(case(cell), value, marks, bool(doubts(cell))))
    ticks = tuple((float(each), f"{each} %") for each in (0, 25, 50, 75, 100))
    legend = [(stage_colour(stage), stage) for stage in names]
    return Chart(
        "Where the time goes",
        "Share of the median of each stage; the number is the median of the whole call.",
        rows_chart(name, "Where the time goes", f"Shares of the stages of {len(cells)} cells.",
                   [Group(model, rows) for model, rows in groups.items()], axes.Scale(0, 100, ticks, "linear")),
        tables.stages_table(cells),
        legend=(*legend, *([("slate faded", REST)] if rest_seen else [])),
    )  # fmt: skip


def latencies(name: str, cells: Sequence[Cell]) -> Chart | None:
    """The distribution of the times of whole calls around their median."""
    sampled = [cell for cell in cells if cell.samples_ms]
    if not sampled:
        return None
    groups: dict[str, list[Row]] = {}
    for cell in sampled:
        middle = cell.latency_ms.p50
        marks: list[Sign] = [
            *_density([ms / middle for ms in cell.samples_ms]),
            Mark(1.0),
            Mark(cell.latency_ms.p99 / middle),
        ]
        value = f"{significant(middle)} / {significant(cell.latency_ms.p99)} ms"
        groups.setdefault(cell.model, []).append(Row(case(cell), value, marks, bool(doubts(cell))))
    ticks = tuple((each, f"{each:g}x") for each in (0.75, 1.0, 1.25, 1.5, 1.75, 2.0))
    return Chart(
        "How steady it is",
        "Times of whole calls relative to their median. Darker bins have more calls; the last includes all above 2x. "
        "Strokes and numbers: p50 and p99.",
        rows_chart(name, "How steady it is", f"Distributions of the times of {len(sampled)} cells.",
                   [Group(model, rows) for model, rows in groups.items()],
                   axes.Scale(_FASTEST, _SLOWEST, ticks, "linear")),
        tables.latencies_table(sampled),
    )  # fmt: skip


def _density(ratios: Sequence[float]) -> list[Bar]:
    """Bins of ratios, shaded by their counts."""
    width = (_SLOWEST - _FASTEST) / _BINS
    bins = Counter(min(max(int((ratio - _FASTEST) / width), 0), _BINS - 1) for ratio in ratios)
    most = max(bins.values())
    return [
        Bar(
            _FASTEST + i * width,
            _FASTEST + (i + 1) * width,
            "blue",
            f"{count} of {len(ratios)} calls",
            _SHADES[min(int(len(_SHADES) * count / most), len(_SHADES) - 1)],
        )
        for i, count in sorted(bins.items())
    ]


def cold_starts(name: str, colds: Sequence[Cold]) -> Chart | None:
    """Times from a new process to the first result."""
    if not colds:
        return None
    parts = list(dict.fromkeys(part for cold in colds for part in cold.parts))
    groups: dict[str, list[Row]] = {}
    for cold in colds:
        spent = [(part, cold.parts[part]) for part in parts if part in cold.parts]
        ends = list(accumulate((ms for _, ms in spent), initial=0.0))
        marks: list[Sign] = [
            Bar(start, end, colour(parts.index(part)), f"{part}: {significant(ms)} ms")
            for (part, ms), start, end in zip(spent, ends[:-1], ends[1:], strict=True)
        ]
        marks.append(Span(cold.first_result_ms.low, cold.first_result_ms.high))
        label = f"{cold.backend} {cold.precision}, cache {'filled' if cold.cached else 'empty'}"
        time = cold.first_result_ms
        row = Row(label, f"{significant(time.p50)} ms", marks)
        groups.setdefault(cold.model, []).append(row)
    scale = axes.linear([*(c.first_result_ms.high for c in colds), *(sum(c.parts.values()) for c in colds)])
    return Chart(
        "Cold starts",
        "From a new process to the first result, ms: medians of the parts, and the 95 percent interval of the whole.",
        rows_chart(name, "Cold starts", f"{len(colds)} cold starts.", [Group(m, r) for m, r in groups.items()], scale),
        tables.colds_table(colds),
        legend=tuple((colour(i), part.replace("_", " ")) for i, part in enumerate(parts)),
    )


def peers(name: str, found: Sequence[Peer]) -> list[Chart]:
    """Times of other projects divided by ours: one chart per engine of ours, all on the same scale."""
    every = [1.0, *(value for peer in found for value in (peer.ratio.low, peer.ratio.high))]
    scale = axes.logarithmic(every)
    groups: dict[str, list[Peer]] = {}
    for peer in found:
        groups.setdefault(peer.ours, []).append(peer)
    return [_peers(f"{name}-{i}", ours, group, scale) for i, (ours, group) in enumerate(groups.items())]


def _peers(name: str, ours: str, found: Sequence[Peer], scale: axes.Scale) -> Chart:
    groups: dict[str, list[Row]] = {}
    for peer in found:
        ratio = peer.ratio
        marks: list[Sign] = [
            Dot(ratio.median, "blue" if ratio.low > 1 else "orange", f"{peer.peer} {peer.version} against {ours}"),
            Span(ratio.low, ratio.high),
        ]
        groups.setdefault(peer.model, []).append(
            Row(f"{peer.peer} {peer.version}", f"{significant(ratio.median)}x our time", marks)
        )
    title = f"Compared with other projects: ours on {ours}"
    rows = [Group(model, group) for model, group in groups.items()]
    return Chart(
        title,
        "Time of the other project divided by ours, pair by pair, on a logarithmic axis: right of 1 it takes longer. "
        "Orange: not significantly slower than ours.",
        rows_chart(name, title, f"Ratios of {len(found)} peers to ours.", rows, scale, reference=1.0),
        tables.peers_table(found),
    )
