"""Write results as Markdown: the full report, and the short table for a README."""

from __future__ import annotations

import html

from fastsam_bench.errors import MarkersError
from fastsam_bench.report import formatting, tables
from fastsam_bench.report.tables import Table
from fastsam_bench.results.runs import MachineRuns, Results, by_machine

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
HOW_TO_READ = (
    "Medians; in brackets the 95 percent interval of the median over blocks of calls. The limit is the shortest time "
    "in which the machine could do the operations, or move the bytes, at its measured ceilings."
)


def make_report(results: Results) -> str:
    """All results as Markdown, machine by machine, with its versions first.

    Args:
        results: Results of one or more runs, on any number of machines.
    """
    parts = ["# Benchmark results", HOW_TO_READ, *_notes(results.notes)]
    if not results.runs:
        parts.append("No runs.")
    for machine in by_machine(results.runs):
        parts += _machine(machine)
    return "\n\n".join(parts) + "\n"


def table_for_readme(results: Results) -> str:
    """A short table per machine, with its versions above and notes below."""
    parts = []
    for machine in by_machine(results.runs):
        run = machine.runs[-1].run
        versions = ", ".join(f"{name} {version}" for name, version in machine.host.versions.items())
        named = f"**{escape(formatting.title(machine.host))}**, {escape(formatting.day(run.time))}; {escape(versions)}"
        parts.append(named)
        parts += _section("", tables.short_table(machine.cells))
        failed = (f"{each.id} failed: {each.error}" for each in machine.failed)
        parts += _notes([*formatting.meanings(machine.cells), *formatting.all_notes(machine), *failed])
    parts += _notes(results.notes)
    return "\n\n".join(parts) or "No results yet."


def update_readme(text: str, results: Results) -> str:
    """Replace the table between the markers `<!-- bench -->` and `<!-- /bench -->` of a text.

    Raises:
        MarkersError: The text does not contain one of each, in this order.
    """
    counts = text.count(BEGIN), text.count(END)
    if counts != (1, 1) or text.index(BEGIN) > text.index(END):
        found = "them in the wrong order" if counts == (1, 1) else f"{counts[0]} and {counts[1]}"
        raise MarkersError(BEGIN, END, found)
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table_for_readme(results)}\n{END}{after}"


def escape(text: str) -> str:
    """Escape a text for a table cell."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    for sign in "\\|*_`[]":
        escaped = escaped.replace(sign, f"\\{sign}")
    return escaped


def _machine(machine: MachineRuns) -> list[str]:
    run = machine.runs[-1].run
    facts = formatting.facts(machine.host, run.memory_gb)
    parts = [f"## {escape(formatting.title(machine.host))}"]
    parts.append("\n".join(f"- {name}: {escape(value)}" for name, value in facts))
    runs = ", ".join(f"{escape(each.name)} ({escape(each.run.time)})" for each in machine.runs)
    command = escape(" ".join(run.command))
    parts.append(f"Runs: {runs}." + (f" Command: {command}" if command else ""))
    parts += _notes(formatting.all_notes(machine))
    parts += _section("Failed", tables.failed_table(machine.failed))
    parts += _section("Speed", tables.cells_table(machine.cells))
    parts += _section("Stages, p50 / p99 ms", tables.stages_table(machine.cells))
    parts += _section("Live", tables.live_table(machine.cells))
    parts += _section("Cold starts", tables.colds_table(machine.colds))
    parts += _section("Peers", tables.peers_table(machine.peers))
    parts += _section("Cost against segments", tables.sweeps_table(machine.sweeps))
    parts += _section("Ceilings", tables.ceilings_table(machine.ceilings))
    parts += _section("Limits", tables.limits_table(machine.cells))
    return parts


def _section(title: str, table: Table) -> list[str]:
    if not table.rows:
        return []
    lines = [_row(table.header)]
    lines.append("|" + "|".join("---" if i in table.texts else "---:" for i in range(len(table.header))) + "|")
    lines += [_row(row) for row in table.rows]
    return [*([f"### {title}"] if title else []), "\n".join(lines)]


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(map(escape, cells)) + " |"


def _notes(notes: list[str] | tuple[str, ...]) -> list[str]:
    return ["\n".join(f"- Note: {escape(note)}" for note in notes)] if notes else []
