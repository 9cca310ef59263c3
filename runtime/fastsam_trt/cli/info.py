"""`fastsam-trt info`: show the metadata of an exported model or a plan."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from fastsam_engine import read_spec
from fastsam_engine.plans.plan_file import is_plan, read_facts
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.store.model_store import find_graphs
from fastsam_trt.bundled_models import locate
from fastsam_trt.cli.text_table import table
from fastsam_trt.sparse.crossing import rule

_NMS_FREE = "not needed, or in the graph: --iou has no effect, --conf can only raise the model's threshold"

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
    for graph in find_graphs(locate(args.model)):
        spec = read_spec(graph)
        document = {"spec": dataclasses.asdict(spec)}
        if is_plan(graph):
            document["plan"] = dataclasses.asdict(read_facts(graph)[1])
        if args.json:
            print(json.dumps({"file": str(graph), **document}))
        else:
            print(f"{graph} ({graph.stat().st_size / 1e6:.1f} MB)")
            print(table(("field", "value"), [*_rows(document.get("plan", {}), "plan."), *_spec_rows(spec)]), end="\n\n")
    return 0


def _spec_rows(spec: ModelSpec) -> Iterator[tuple[str, str]]:
    """The fields of a spec, and what follows from them."""
    document = dataclasses.asdict(spec)
    yield "origin", _origin(spec)
    if spec.is_part:  # an axis per level and purpose: `--json` has them
        del document["input"]["axes"]
    yield from _rows(document)
    if spec.task == "segment" and spec.family in ("yolo-end2end", "yolo-end2end-sparse"):
        yield "NMS", _NMS_FREE
    if spec.task == "heads":
        yield "compute", rule(int(spec.defaults["reach_cells"]))


def _origin(spec: ModelSpec) -> str:
    """Whether the model was pulled ready-made or exported, and from where."""
    source = spec.source
    if source.is_adopted:
        return f"ready-made, pulled from {source.address}"
    return f"{'exported' if spec.parity else 'made by another tool'} from {source.model_id}"


def _rows(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flatten nested fields to dotted names and short values."""
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _rows(item, f"{prefix}{name}.")
        elif name == "outputs":
            for output in item:
                yield f"output {output['name']}", f"{output['meaning']} ({output['layout']})"
        elif name == "class_names" and len(item) > 8:
            yield name, f"{len(item)}: {', '.join(item)}"
        elif isinstance(item, (list, tuple)):
            yield f"{prefix}{name}", ", ".join("any" if entry is None else str(entry) for entry in item) or "none"
        else:
            yield f"{prefix}{name}", "none" if item in (None, "") else str(item)
