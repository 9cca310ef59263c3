"""`fastsam-trt info`: show the metadata of an exported model or a plan."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import textwrap
from pathlib import Path

from fastsam_engine import read_spec
from fastsam_engine.plans.plan_file import is_plan, read_facts
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.store.model_store import find_graphs
from fastsam_trt.bundled_models import locate
from fastsam_trt.cli.spec_rows import fact_rows, spec_rows
from fastsam_trt.cli.text_table import table

_WIDTH = 100  # columns, of a terminal that is as wide, and where there is none
_FIRST_TASKS = ("segment", "embed-image")  # of the graph that the others belong to

_EXAMPLES = """\
examples:
  # preprocessing, classes, outputs and accuracy of a model
  fastsam-trt info demo-seg
  # the same for a file, as JSON
  fastsam-trt info yolov8n-seg.onnx --json
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    parser.epilog = _EXAMPLES
    parser.add_argument("model", metavar="MODEL", help="name, folder or file")
    parser.add_argument("--json", action="store_true", help="print one JSON document per graph instead of a table")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print the specs of a model's graphs."""
    specs = {graph: read_spec(graph) for graph in find_graphs(locate(args.model))}
    if args.json:
        for graph, spec in specs.items():
            document = {"spec": dataclasses.asdict(spec)}
            if is_plan(graph):
                document["plan"] = dataclasses.asdict(read_facts(graph)[1])
            print(json.dumps({"file": str(graph), **document}))
    else:
        _print_tables(specs)
    return 0


def _print_tables(specs: dict[Path, ModelSpec]) -> None:
    """Print a table per graph: first the graph that the others belong to, then what the others differ in."""
    first, *others = sorted(specs, key=lambda graph: (specs[graph].task not in _FIRST_TASKS, graph.name))
    shared = _rows(first, specs[first])
    _print_table(first, shared)
    print()
    for graph in others:
        rows = _rows(graph, specs[graph])
        _print_table(graph, [row for row in rows if row not in shared])
        if same := dict.fromkeys(_group(name) for name, text in rows if (name, text) in shared):
            print(textwrap.fill(f"as in {first.name}: {', '.join(same)}", _width()), end="\n\n")


def _rows(graph: Path, spec: ModelSpec) -> list[tuple[str, str]]:
    facts = dataclasses.asdict(read_facts(graph)[1]) if is_plan(graph) else {}
    return [*fact_rows(facts, "plan."), *spec_rows(spec)]


def _print_table(graph: Path, rows: list[tuple[str, str]]) -> None:
    print(f"{graph} ({graph.stat().st_size / 1e6:.1f} MB)")
    print(table(("field", "value"), rows, width=_width()))


def _width() -> int:
    return min(_WIDTH, shutil.get_terminal_size((_WIDTH, 0)).columns)


def _group(name: str) -> str:
    """The group of a field: `source` for `source.licence`, `parity` for `parity min_mask_iou`."""
    return name.partition(".")[0].partition(" ")[0]
