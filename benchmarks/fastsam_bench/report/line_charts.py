"""Line charts of the page of results: cost against segments and crops, and the roofline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fastsam_bench.report import tables
from fastsam_bench.report.bar_charts import Chart
from fastsam_bench.report.formatting import engine, shape, significant
from fastsam_bench.report.svg import axes as scales
from fastsam_bench.report.svg.palette import colour
from fastsam_bench.report.svg.plots import Point, Roof, Series, plot
from fastsam_bench.results.records import Ceiling, Cell, Sweep

_FASTER = 1.05  # ratio to main memory from which caches get their own line


def segments(name: str, sweeps: Sequence[Sweep]) -> list[Chart]:
    """Cost against the number of segments, in our way and the usual one: one chart per model, engine and frame."""
    groups: dict[tuple[str, str, str], list[Sweep]] = {}
    for each in sweeps:
        groups.setdefault((each.model, f"{each.backend} {each.precision}", shape(each.frame)), []).append(each)
    return [_segments(f"{name}-{i}", ", ".join(key), group) for i, (key, group) in enumerate(groups.items())]


def _segments(name: str, subject: str, sweeps: Sequence[Sweep]) -> Chart:
    series = []
    for side, words, hue in (("ours", "ours", "blue"), ("usual", "usual way", "orange")):
        for selector, dashed in (("labels", False), ("clip", True)):
            found = [each for each in sweeps if each.side == side and each.selector == selector]
            points = [(float(each.segments), each.latency_ms.p50) for each in found]
            if points:
                series.append(Series(f"{words}, {'CLIP' if dashed else 'labels'}", points, hue, dashed))
    axes = (
        ("segments", scales.counts([each.segments for each in sweeps])),
        ("ms (log)", scales.logarithmic([each.latency_ms.p50 for each in sweeps])),
    )
    title = f"Cost against segments: {subject}"
    described = f"Milliseconds against the number of segments on logarithmic axes: {', '.join(s.name for s in series)}."
    note = "Both axes logarithmic. Lower is better."
    drawn = plot(name, title, described, axes, series)
    return Chart(title, note, drawn, tables.sweeps_table(sweeps), legend=_lines(series))


def _lines(series: Sequence[Series]) -> tuple[tuple[str, str], ...]:
    """The legend of lines, in the order of their right ends from the top."""
    ordered = sorted(series, key=lambda each: -max(each.points)[1])
    return tuple((f"{each.colour} line{' broken' if each.dashed else ''}", each.name) for each in ordered)


def crops(name: str, cells: Sequence[Cell]) -> list[Chart]:
    """Cost against CLIP crops per frame: one chart per engine, one line per set of cells that differ only in crops."""
    groups: dict[str, dict[tuple[str, str, int], list[Cell]]] = {}
    for cell in cells:
        if cell.scenario == "single":
            key = (cell.model, shape(cell.input), cell.batch)
            groups.setdefault(engine(cell), {}).setdefault(key, []).append(cell)
    charts = []
    for i, (subject, lines) in enumerate(groups.items()):
        swept = {key: found for key, found in lines.items() if len({cell.crops for cell in found}) > 1}
        if not swept:
            continue
        series = [
            Series(f"{key[0]} {key[1]}", [(float(cell.crops), cell.latency_ms.p50) for cell in found], colour(j))
            for j, (key, found) in enumerate(swept.items())
        ]
        shown = [cell for found in swept.values() for cell in found]
        axes = (
            ("crops per frame", scales.linear([cell.crops for cell in shown])),
            ("ms", scales.linear([cell.latency_ms.p50 for cell in shown])),
        )
        title = f"Cost against crops: {subject}"
        described = f"Milliseconds of a whole call against CLIP crops: {', '.join(each.name for each in series)}."
        note = "p50 of whole calls against the number of crops that CLIP embeds. Lower is better."
        svg = plot(f"{name}-{i}", title, described, axes, series)
        charts.append(Chart(title, note, svg, tables.latencies_table(shown), legend=_lines(series)))
    return charts


def roofline(name: str, cells: Sequence[Cell], ceilings: Sequence[Ceiling]) -> Chart | None:
    """Operations per second of the engine stage against operations per byte, under the ceilings of the machine."""
    shown: dict[tuple[str, str, tuple[int, int], int], Cell] = {}
    for cell in cells:
        limit, stage = cell.limits.get("engine"), cell.stages.get("engine")
        if limit and stage and limit.gflop > 0 and limit.gbytes > 0 and stage.p50 > 0:
            shown.setdefault((cell.model, engine(cell), cell.input, cell.batch), cell)
    if not shown:
        return None
    engines = list(dict.fromkeys((*((c.backend, c.device, c.precision) for c in ceilings),
                                  *((c.backend, c.device, c.precision) for c in shown.values()))))  # fmt: skip
    hues = {each: colour(i) for i, each in enumerate(engines)}
    points = []
    for i, cell in enumerate(shown.values(), start=1):
        limit, ms = cell.limits["engine"], cell.stages["engine"].p50
        hue = hues[cell.backend, cell.device, cell.precision]
        reached = 1e3 * limit.gflop / ms
        tip = f"{cell.model}, {engine(cell)}: {significant(reached)} GFLOP/s, {limit.percent:.0f} % of the limit"
        points.append(Point(str(i), limit.gflop / limit.gbytes, reached, hue, tip))
    roofs = [roof for each in ceilings for roof in _roofs(each, shown.values(), hues)]
    x = scales.logarithmic([*(p.x for p in points), *(roof.flat / roof.slope for roof in roofs)])
    y = scales.logarithmic([*(p.y for p in points), *(roof.flat for roof in roofs)])
    listed = tuple(f"{c.model}, {engine(c)}, {shape(c.input)}" + (f", batch {c.batch}" if c.batch > 1 else "")
                   for c in shown.values())  # fmt: skip
    title = "How far from what the chip could do"
    described = f"Roofline: {len(points)} engine stages under {len(roofs)} ceilings."
    return Chart(
        title,
        "The engine stage of each model under the measured ceilings: the slope is the limit of memory (dashed: of "
        "caches, if a model fits into them), the flat line that of operations. Closer to the line is better.",
        plot(name, title, described, (("operations per byte (log)", x), ("GFLOP/s (log)", y)), (), points, roofs),
        tables.limits_table(list(shown.values())),
        legend=tuple((hues[each], " ".join(each)) for each in engines),
        points=listed,
    )


def _roofs(ceiling: Ceiling, cells: Iterable[Cell], hues: Mapping[tuple[str, str, str], str]) -> list[Roof]:
    """The roof of main memory, and that of caches if cells were compared with these."""
    if min(ceiling.matmul_gflops, ceiling.copy_gbytes) <= 0:
        return []
    key = (ceiling.backend, ceiling.device, ceiling.precision)
    limits = [cell.limits["engine"] for cell in cells if (cell.backend, cell.device, cell.precision) == key]
    fastest = max((1e3 * each.gbytes / each.memory_ms for each in limits if each.memory_ms > 0), default=0.0)
    roofs = [Roof(ceiling.matmul_gflops, ceiling.copy_gbytes, hues[key])]
    if fastest > _FASTER * ceiling.copy_gbytes:
        roofs.append(Roof(ceiling.matmul_gflops, fastest, hues[key], dashed=True))
    return roofs
