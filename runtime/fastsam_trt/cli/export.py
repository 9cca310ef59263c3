"""`fastsam-trt export`: a PyTorch model to ONNX files that explain themselves."""

from __future__ import annotations

import argparse
import sys

from tqdm import tqdm

from fastsam_trt.cli import options
from fastsam_trt.cli.output_checks import input_path, output_path
from fastsam_trt.cli.standard_streams import table


def add_parser(subcommands: options.Subcommands, common: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    parser = subcommands.add_parser("export", parents=[common], help="export a model, with proof of parity")
    parser.add_argument("name", metavar="NAME", help="yolov8n-seg, yolo11s-seg, fastsam-s, clip-vit-base-patch32, ...")
    parser.add_argument("--weights", metavar="PATH_OR_ID", help="local weights (.pt, or a folder), or a hub id")
    parser.add_argument("--imgsz", type=int, nargs="+", metavar="PX", help="default input: side, or height and width")
    parser.add_argument("--precision", choices=["fp32", "fp16", "int8"], default="fp32", help="of the graph (fp32)")
    parser.add_argument("--calibration", type=input_path, metavar="DIR", help="for int8: images like those it will see")
    parser.add_argument(
        "--out",
        type=output_path,
        metavar="DIR",
        help="folder for the files (NAME, NAME-fp16 or NAME-int8, in the model store)",
    )
    parser.add_argument(
        "--class-agnostic", action=argparse.BooleanOptionalAction,
        help="the classes say nothing of what a segment shows: FastSAM's thresholds, no labels (YOLO; FastSAM: on)",
    )  # fmt: skip
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Export the model, and print a table of its files and their parity."""
    from fastsam_export import export_model

    with tqdm(bar_format="{desc} {elapsed}", disable=None, leave=False, file=sys.stderr) as progress:
        exported = export_model(
            args.name,
            weights=args.weights,
            imgsz=None if args.imgsz is None else options.image_size(args.imgsz),
            out=args.out,
            precision=args.precision,
            calibration=args.calibration,
            class_agnostic=args.class_agnostic,
            step=lambda text: progress.set_description_str(f"{args.name}: {text}"),
        )
    rows = []
    for file in exported:
        size = f"{file.path.stat().st_size / 1e6:.1f} MB"
        parity = file.spec.parity if file.spec else None
        if parity is None:
            rows.append((file.path, size, "", "", ""))
            continue
        for i, (metric, worst) in enumerate(sorted(parity.worst.items())):
            first = (file.path, size) if i == 0 else ("", "")
            rows.append((*first, metric, f"{worst:.6g}", f"{parity.tolerance[metric]:.3g}"))
    reference = "PyTorch" if args.precision == "fp32" else "fp32"
    print(table(("file", "size", f"parity with {reference}", "worst", "bound"), rows))
    return 0
