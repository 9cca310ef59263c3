"""Write the page of results: one HTML file without scripts, other files or network access."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from string import ascii_uppercase

from fastsam_bench.report import bar_charts, formatting, line_charts, tables
from fastsam_bench.report.bar_charts import Chart
from fastsam_bench.report.markdown import HOW_TO_READ
from fastsam_bench.report.style import STYLE
from fastsam_bench.report.tables import Table
from fastsam_bench.results.runs import MachineRuns, Results, by_machine
from fastsam_trt import __version__
from fastsam_trt.reports.html_page import html_table, whole_page


def make_page(results: Results) -> str:
    """All results as one page: speed on all machines, then one section per machine.

    Args:
        results: Results of one or more runs, on any number of machines.

    Returns:
        HTML. Texts are escaped, charts are inline SVG, and each has a table of its numbers.
    """
    machines = by_machine(results.runs)
    names = [_letter(i) if len(machines) > 1 else "" for i in range(len(machines))]
    speed = bar_charts.speed("speed", [(name, each.cells) for name, each in zip(names, machines, strict=True)])
    sections = "".join(_machine(i, *each) for i, each in enumerate(zip(names, machines, strict=True)))
    counted = f"{len(machines)} {'machine' if len(machines) == 1 else 'machines'}"
    body = f"""<header>
<h1>Benchmark results</h1>
<p>{escape(HOW_TO_READ)}</p>
{_notes(results.notes)}
{_contents(names, machines)}
</header>
<main>
<section id="speed">
<h2>Speed</h2>
<p>Medians; more is better. A ? marks doubtful results; the sections of the machines give the reasons.</p>
<div class="charts">{"".join(map(_chart, speed)) or "<p>Nothing was measured.</p>"}</div>
</section>
{sections}
</main>
<footer><p>Made by fastsam-trt {escape(__version__)}, which also writes these results as Markdown.</p></footer>
"""
    return whole_page(f"fastsam-trt: benchmark results of {counted}", STYLE, body)


def _machine(index: int, name: str, machine: MachineRuns) -> str:
    run = machine.runs[-1].run
    facts = "".join(
        f"<dt>{escape(fact)}</dt><dd>{escape(value)}</dd>"
        for fact, value in formatting.facts(machine.host, run.memory_gb)
    )
    runs = ", ".join(f"{each.name} ({each.run.time})" for each in machine.runs)
    doubts = [f"{cell.id}: {'; '.join(found)}" for cell in machine.cells if (found := formatting.doubts(cell))]
    mark = f"m{index}"
    shown = [
        bar_charts.stages(f"{mark}-stages", machine.cells),
        bar_charts.latencies(f"{mark}-latencies", machine.cells),
        *line_charts.segments(f"{mark}-segments", machine.sweeps),
        *line_charts.crops(f"{mark}-crops", machine.cells),
        line_charts.roofline(f"{mark}-roofline", machine.cells, machine.ceilings),
        bar_charts.cold_starts(f"{mark}-cold", machine.colds),
        *bar_charts.peers(f"{mark}-peers", machine.peers),
    ]
    return f"""<section id="{mark}">
<h2>{escape(_named(name, machine))}</h2>
<dl>{facts}<dt>runs</dt><dd>{escape(runs)}</dd><dt>command</dt><dd>{escape(" ".join(run.command) or "-")}</dd></dl>
{_notes(formatting.all_notes(machine))}
{_notes((f"{each.id}: {each.error}" for each in machine.failed), "Failed")}
{_folded(doubts, f"Why {len(doubts)} of {len(machine.cells)} cells are doubtful")}
<div class="charts">{"".join(_chart(each) for each in shown if each is not None)}</div>
{_titled("Live", tables.live_table(machine.cells))}
{_titled("Ceilings", tables.ceilings_table(machine.ceilings))}
</section>
"""


def _chart(chart: Chart) -> str:
    legend = "".join(f'<li class="c-{colour}">{escape(name.replace("_", " "))}</li>' for colour, name in chart.legend)
    points = "".join(f"<li><b>{i}</b> {escape(name)}</li>" for i, name in enumerate(chart.points, start=1))
    return (
        f"<figure><figcaption><h3>{escape(chart.title)}</h3>"
        f"<p>{escape(chart.note)}</p></figcaption>"
        f"{f'<ul class=legend>{legend}</ul>' if legend else ''}{chart.svg}"
        f"{f'<ol class=points>{points}</ol>' if points else ''}"
        f"<details><summary>Numbers as a table</summary>{_table(chart.table)}</details></figure>"
    )


def _titled(title: str, table: Table) -> str:
    return f"<h3>{title}</h3>{_table(table)}" if table.rows else ""


def _table(table: Table) -> str:
    numbers = set(range(len(table.header))) - table.texts
    return f'<div class="wide" tabindex="0">{html_table(table.header, table.rows, numbers)}</div>'


def _notes(notes: Iterable[str], title: str = "") -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    heading = f"<h3>{title}</h3>" if title else ""
    return f'{heading}<ul class="notes">{items}</ul>' if items else ""


def _folded(notes: Sequence[str], title: str) -> str:
    return f"<details><summary>{title}</summary>{_notes(notes)}</details>" if notes else ""


def _contents(names: list[str], machines: tuple[MachineRuns, ...]) -> str:
    if len(machines) < 2:
        return ""
    links = "".join(
        f'<li><a href="#m{i}">{escape(_named(name, each))}</a></li>'
        for i, (name, each) in enumerate(zip(names, machines, strict=True))
    )
    return f'<nav aria-label="Machines"><ul>{links}</ul></nav>'


def _named(name: str, machine: MachineRuns) -> str:
    title = formatting.title(machine.host)
    return f"{name}: {title}" if name else title


def _letter(index: int) -> str:
    """A, B ... Z, A1, B1 ..."""
    turn, letter = divmod(index, len(ascii_uppercase))
    return f"{ascii_uppercase[letter]}{turn or ''}"
