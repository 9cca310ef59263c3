"""`fastsam-trt export`: export a PyTorch model to ONNX files with metadata."""

from __future__ import annotations

import argparse
import textwrap
from typing import get_args

from fastsam_engine.rounding import round_with_bound
from fastsam_trt.cli import options
from fastsam_trt.cli.file_paths import input_path, output_path
from fastsam_trt.cli.progress import activity
from fastsam_trt.cli.text_table import table

_EXAMPLES = """\
examples:
  # a published model
  fastsam-trt export yolov8n-seg
  # CLIP, for prompts in free text
  fastsam-trt export clip-vit-base-patch32
  # your own ultralytics checkpoint
  fastsam-trt export my-model --weights best.pt
  # half the size, for GPUs; named yolov8n-seg-fp16
  fastsam-trt export yolov8n-seg --precision fp16
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    from fastsam_export.exporter import ExportPrecision

    parser.usage = "%(prog)s NAME [--weights PATH_OR_ID] [options]"
    parser.description = (
        f"{parser.description}\nThe PyTorch model is needed here only: running needs no PyTorch.\n\n{_models()}"
    )
    parser.epilog = _EXAMPLES
    parser.add_argument("name", metavar="NAME", help="a name from the list above, or with --weights one of your choice")
    model = parser.add_argument_group("model")
    model.add_argument("--weights", metavar="PATH_OR_ID", help="local weights (.pt, or a folder), or a hub id")
    model.add_argument(
        "--imgsz", type=int, nargs="+", metavar="PX",
        help="size of the default input: side, or height and width (default: the model's own)",
    )  # fmt: skip
    model.add_argument(
        "--class-agnostic", action=argparse.BooleanOptionalAction,
        help="ignore the class names, as FastSAM does, and use its thresholds; for YOLO (default: for FastSAM only)",
    )  # fmt: skip
    graph = parser.add_argument_group("graph")
    graph.add_argument("--precision", choices=get_args(ExportPrecision), default="fp32", help="precision of the graph")
    graph.add_argument(
        "--calibration", type=input_path, metavar="DIR", help="for int8: a folder of images like those to be segmented"
    )
    graph.add_argument(
        "--out", type=output_path, metavar="DIR",
        help="folder for the files (default: NAME, NAME-fp16 or NAME-int8 in the model store)",
    )  # fmt: skip
    graph.add_argument(
        "--dense", action="store_true",
        help="for YOLO: one graph that computes everything, instead of parts that compute what is selected",
    )  # fmt: skip
    parser.set_defaults(execute=execute)


def _models() -> str:
    """The published models that have a name, a line per family."""
    from fastsam_engine.store.catalog import CATALOG

    families: dict[str, list[str]] = {}
    for published in CATALOG.values():
        families.setdefault(published.family, []).append(published.name)
    width = max(map(len, families))
    lines = [
        textwrap.fill(
            ", ".join(names), 110, initial_indent=f"  {family:{width}}  ", subsequent_indent=" " * (width + 4)
        )
        for family, names in families.items()
    ]
    return "\n".join(["models by family:", *lines])


def execute(args: argparse.Namespace) -> int:
    """Export the model, and print a table of its files and their parity."""
    from fastsam_export import export_model

    with activity(args.name, quiet=args.quiet) as progress:
        exported = export_model(
            args.name,
            weights=args.weights,
            imgsz=None if args.imgsz is None else options.image_size(args.imgsz),
            out=args.out,
            precision=args.precision,
            calibration=args.calibration,
            class_agnostic=args.class_agnostic,
            dense=args.dense,
            step=lambda text: progress.set_description_str(f"{args.name}: {text}"),
        )
    if args.quiet:
        return 0
    rows = []
    shown = None
    for file in exported:
        size = f"{file.path.stat().st_size / 1e6:.1f} MB"
        parity = file.spec.parity if file.spec else None
        if parity is None or parity == shown:  # parts of one network have one record
            rows.append((file.path, size, "", "", ""))
            continue
        shown = parity
        for i, (metric, worst) in enumerate(sorted(parity.worst.items())):
            first = (file.path, size) if i == 0 else ("", "")
            rows.append((*first, metric, *round_with_bound(worst, parity.tolerance[metric])))
    reference = "PyTorch" if args.precision == "fp32" else "fp32"
    print(table(("file", "size", f"parity with {reference}", "worst", "bound"), rows))
    if reason := exported[0].kept_whole:
        print(f"one dense graph, as with --dense, since this network can't be cut: {reason}")
    return 0
