"""Options, tables, checks against bounds, JSON lines and exit codes for the benchmark scripts."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import operator
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NoReturn

try:
    from fastsam_bench.timing.paired import Side, Spread, Times, measure, ratio, wall_clock
    from fastsam_engine.errors import FastsamError
    from fastsam_engine.rounding import round_with_bound
    from fastsam_trt.cli.text_table import table
    from fastsam_trt.reports.machine import this_machine
except ImportError as missing:
    print(f"error: {missing}; the benchmarks need: pip install 'fastsam-trt[dev]'", file=sys.stderr)
    sys.exit(2)

SHARED = Path(__file__).resolve().parents[4] / "shared"  # weights, photos and videos, beside the checkout
_DIGITS = 7  # of values, as the pages quote them

__all__ = [
    "SHARED",
    "BenchmarkError",
    "Check",
    "Side",
    "Spread",
    "Times",
    "add_options",
    "entry",
    "finish",
    "machine",
    "measure",
    "ratio",
    "require",
    "require_new",
    "show_rows",
    "show_times",
    "wall_clock",
]


class BenchmarkError(Exception):
    """A benchmark that can't run here; the message says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """A measured value and its bound; NaN never holds."""

    name: str
    value: float
    sense: Literal["<=", ">=", "=="]
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the value is within the bound."""
        return bool({"<=": operator.le, ">=": operator.ge, "==": operator.eq}[self.sense](self.value, self.bound))

    def line(self) -> str:
        """The check as a line of text."""
        value, bound = round_with_bound(self.value, self.bound, _DIGITS)
        return f"{'ok  ' if self.holds else 'MISS'}  {self.name}: {value} (bound {self.sense} {bound})"


def show_times(title: str, times: Times, references: Sequence[str]) -> list[dict[str, Any]]:
    """Print the times of all sides as a table, with the ratio to each reference; return the rows for JSON."""
    cells, rows = list[tuple[str, ...]](), list[dict[str, Any]]()
    for side, values in times.items():
        ms = dataclasses.asdict(Spread.of(values))
        ratios = {reference: dataclasses.asdict(ratio(times, side, reference)) for reference in references}
        shown = [f"{each['median']:.3f} ({each['iqr']:.3f})" for each in ratios.values()]
        cells.append((side, *(f"{value:.2f}" for value in ms.values()), *shown))
        rows.append({"kind": "times", "title": title, "side": side, "ms": ms, "ratios": ratios})
    heads = [f"/ {reference} (IQR)" for reference in references]
    print(f"\n{title}, {len(next(iter(times.values())))} rounds, ms")
    print(table(("side", "median", "min", "max", "IQR", *heads), cells))
    return rows


def show_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Print rows with the same columns as a table; return them for JSON."""
    print(f"\n{title}")
    shown = [[f"{cell:.7g}" if isinstance(cell, float) else cell for cell in row.values()] for row in rows]
    print(table(list(rows[0]) if rows else ("nothing",), shown))
    return [{"kind": "row", "title": title, **row} for row in rows]


def machine(packages: Iterable[str]) -> dict[str, Any]:
    """Print and return the facts of the machine: processor, cores, system, Python, versions of packages."""
    found = this_machine(packages)
    facts: dict[str, Any] = {
        "processor": found.processor,
        "cores": found.cores,
        "os": found.system,
        "python": found.python,
        "versions": found.versions,
    }
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['os']}, Python {facts['python']}")
    print(", ".join(f"{name} {found}" for name, found in facts["versions"].items()))
    return facts


def add_options(parser: argparse.ArgumentParser, rounds: int | None = None, warmup: int = 3) -> None:
    """Add `--json` and, if a default number of rounds is given, the options of timing."""
    if rounds is not None:
        parser.add_argument("--rounds", type=int, default=rounds, metavar="N", help=f"timed turns per side ({rounds})")
        parser.add_argument("--warmup", type=int, default=warmup, metavar="N", help=f"turns before them ({warmup})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="append the results to this file as JSON lines")


def finish(
    args: argparse.Namespace, facts: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], checks: Sequence[Check]
) -> int:
    """Print the checks, append everything to the JSON file if there is one, and return the exit code."""
    print("\n" + "\n".join(check.line() for check in checks))
    lines = ({"kind": "figure", **dataclasses.asdict(check), "holds": check.holds} for check in checks)
    add_lines(args.json, facts, (*rows, *lines))
    return 0 if all(check.holds for check in checks) else 1


def add_lines(path: Path | None, facts: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows to a file of JSON lines, if there is one, each with script, time and machine."""
    if path is not None:
        head = {"script": Path(sys.argv[0]).stem, "time": datetime.now(UTC).isoformat(timespec="seconds"), **facts}
        text = "".join(json.dumps({**head, **row}) + "\n" for row in rows)
        with path.open("a", encoding="utf-8") as file:  # one write of whole lines: runs may share the file
            file.write(text)


def require(*packages: str, files: Iterable[Path] = ()) -> None:
    """Raise a `BenchmarkError` unless these modules and these files or folders exist."""
    for name in packages:
        if importlib.util.find_spec(name) is None:
            raise BenchmarkError(f"expected {name} to be installed; run: pip install 'fastsam-trt[dev]'")
    for path in files:
        if not path.exists():
            raise BenchmarkError(f"expected {path}, found nothing there; pass another path (see --help)")


def require_new(folder: Path) -> None:
    """Raise a `BenchmarkError` if the folder of `--out` exists."""
    if folder.exists():
        raise BenchmarkError(f"expected no folder {folder}, found one; remove it or pass another --out")


def entry(main: Callable[[], int]) -> NoReturn:
    """Run a script: exit 0 if every check holds, 1 if one fails, 2 with one line if the script can't run."""
    try:
        sys.exit(main())
    except (BenchmarkError, FastsamError) as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        sys.exit(2)
