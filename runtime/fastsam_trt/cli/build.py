"""`fastsam-trt build`: build a model's engines ahead of time, so that `run` need not."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from fastsam_engine.errors import BuildRequestError, OutputError
from fastsam_engine.plans.build_request import BuildOptions, BuildReport, BuildRequest
from fastsam_engine.rounding import round_with_bound
from fastsam_trt.cli import options
from fastsam_trt.cli.file_paths import output_path
from fastsam_trt.cli.help_text import one_of
from fastsam_trt.cli.progress import activity
from fastsam_trt.cli.text_table import table

if TYPE_CHECKING:
    from tqdm import tqdm

    from fastsam_engine.spec.model_spec import ModelSpec

_EXAMPLES = """\
examples:
  # build once for this machine; runs then find the engine
  fastsam-trt build yolov8n-seg
  # build with TensorRT-RTX for GPUs elsewhere, into a folder to copy
  fastsam-trt build yolov8n-seg --target sm86 sm89 sm120 --out engines/
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    from fastsam_engine.backend_choice import all_builders
    from fastsam_engine.plans.build_request import Hardware

    parser.usage = "%(prog)s MODEL [--backend B] [--target SM ...] [options]"
    parser.epilog = _EXAMPLES
    parser.add_argument("model", metavar="MODEL", help="name, folder or ONNX file")
    where = parser.add_argument_group("what to build for")
    where.add_argument(
        "--backend",
        default="auto",
        help=f"{one_of(('auto', *all_builders()))}; auto takes the fastest that can run here",
    )
    where.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1; see fastsam-trt doctor")
    where.add_argument(
        "--target", nargs="+", default=[], metavar="SM",
        help="GPU architectures to build for, such as sm86 sm89 sm120; the GPUs need not be in this machine "
        "(tensorrt-rtx only)",
    )  # fmt: skip
    where.add_argument(
        "--hardware", choices=get_args(Hardware), default="this",
        help="GPUs that a plan runs on: this model, its compute capability, or Ampere and later (tensorrt only)",
    )  # fmt: skip
    where.add_argument(
        "--version-compatible", action="store_true", help="let later TensorRT versions run the plan (tensorrt only)"
    )
    where.add_argument(
        "--threads", type=int, metavar="N",
        help="build for runs with --threads N; openvino only (default: all that CPU affinity and the container's quota "
        "allow)",
    )  # fmt: skip
    shapes = parser.add_argument_group("input sizes")
    shapes.add_argument(
        "--batch", type=int, nargs="+", metavar="N",
        help="largest batch, or the usual and the largest (default: 1 8 for segmentation models, 16 32 for CLIP)",
    )  # fmt: skip
    shapes.add_argument(
        "--imgsz", type=int, nargs="+", metavar="PX",
        help="the only size to support: side, or height and width (default: all sizes up to the model's own)",
    )  # fmt: skip
    effort = parser.add_argument_group("effort and precision")
    effort.add_argument("--workspace", type=int, metavar="MIB", help="most GPU memory that one kernel may use, in MiB")
    effort.add_argument("--level", type=int, default=3, metavar="0-5", help="how long to search for fast kernels")
    effort.add_argument("--no-tf32", action="store_true", help="compute fp32 without TF32")
    outputs = parser.add_argument_group("outputs")
    outputs.add_argument(
        "--out", type=output_path, metavar="DIR", help="folder for the plans (default: the engine cache)"
    )
    outputs.add_argument("--again", action="store_true", help="build again even if the cache has the engine")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Build every graph of a model, and print a table of the results."""
    from fastsam_engine.backend_choice import choose_builder
    from fastsam_engine.plans.plan_file import is_plan
    from fastsam_engine.spec_reader import read_spec
    from fastsam_engine.store.model_store import find_graphs
    from fastsam_trt.bundled_models import locate

    graphs = find_graphs(locate(args.model))
    if plans := [graph.name for graph in graphs if is_plan(graph)]:
        raise BuildRequestError("model", "ONNX graphs", f"the plan {plans[0]}", "name what it was built from")
    device = args.device.removesuffix(":0")
    backend = choose_builder(args.backend, device, args.target)
    if args.threads is not None and backend.name != "openvino":
        expected = "openvino, which compiles for a number of threads"
        raise BuildRequestError("threads", expected, backend.name, "omit --threads")
    rows = []
    if args.out is not None:
        try:
            args.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(args.out, f"the folder can't be created ({error.strerror})") from error
    for graph in graphs:
        request = _request(args, graph, read_spec(graph), alone=len(graphs) == 1)
        with activity(f"{graph.name}: building", quiet=args.quiet) as bar:

            def show(phase: str, done: int, of: int, graph: Path = graph, bar: tqdm[Any] = bar) -> None:
                bar.set_description_str(f"{graph.name}: {phase} {done}/{of}", refresh=False)
                bar.update()

            report = backend.build(request, device, show)
        rows.append(_row(graph, request.spec, report))
    if not args.quiet:
        print(table(("graph", "for", "size", "built in", "error nearest to its bound", "file"), rows))
    return 0


def _request(args: argparse.Namespace, graph: Path, spec: ModelSpec, *, alone: bool) -> BuildRequest:
    from fastsam_engine.spec.model_input import ImageInput, TokenInput

    takes_batch = isinstance(spec.input, ImageInput | TokenInput) or spec.is_part
    takes_size = isinstance(spec.input, ImageInput) or spec.is_part
    return BuildRequest(
        graph,
        spec,
        batch=_batch(args.batch) if takes_batch or alone else None,
        imgsz=options.image_size(args.imgsz) if args.imgsz and (takes_size or alone) else None,
        options=BuildOptions(
            targets=tuple(target.lower() for target in args.target),
            workspace_mb=args.workspace,
            optimization_level=args.level,
            hardware=args.hardware,
            version_compatible=args.version_compatible,
            tf32=not (args.no_tf32 or spec.is_helper),
        ),
        out=None if args.out is None else args.out / f"{graph.stem}.plan",
        again=args.again,
        threads=args.threads,
    )


def _batch(sizes: list[int] | None) -> tuple[int, int] | None:
    if sizes is None:
        return None
    if len(sizes) > 2:
        raise BuildRequestError("batch", "one number, or the usual and the largest", " ".join(map(str, sizes)))
    return sizes[0], sizes[-1]


def _row(graph: Path, spec: ModelSpec, report: BuildReport) -> tuple[str, ...]:
    from fastsam_engine.backends.tensorrt.plan_check.output_bounds import nearest_bound

    worst = nearest_bound(report.parity, spec.precision)
    accuracy = "not run here"
    if worst is not None:
        value, limit = round_with_bound(worst.value, worst.limit, 2)
        accuracy = f"{value} of {limit} ({worst.name})"
    return (
        graph.name,
        report.target,
        f"{report.size / 1e6:.1f} MB",
        "cached" if report.built_s is None else f"{report.built_s:.1f} s",
        accuracy,
        "not cached" if report.path is None else str(report.path),
    )
