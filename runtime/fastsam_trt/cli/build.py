"""`fastsam-trt build`: a model's graphs made ready for a machine, once, so that `run` need not."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from fastsam_engine.errors import BuildRequestError, OutputError
from fastsam_engine.plans.build_request import BuildOptions, BuildReport, BuildRequest
from fastsam_trt.cli import options
from fastsam_trt.cli.output_checks import output_path
from fastsam_trt.cli.standard_streams import table

if TYPE_CHECKING:
    from fastsam_engine.spec.model_spec import ModelSpec


def add_parser(subcommands: options.Subcommands, common: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    parser = subcommands.add_parser("build", parents=[common], help="build a model's engines, once, for a machine")
    parser.add_argument("model", metavar="MODEL", help="name, folder or ONNX file")
    parser.add_argument("--backend", default="auto", help="tensorrt, tensorrt-rtx, openvino, or auto: the fastest here")
    parser.add_argument("--device", default="auto", help="cuda, cuda:1, cpu, or auto")
    parser.add_argument(
        "--target", nargs="+", default=[], metavar="SM",
        help="sm86, sm89, sm120, ...: GPUs to build for, which need not be here (tensorrt-rtx)",
    )  # fmt: skip
    parser.add_argument(
        "--batch", type=int, nargs="+", metavar="N",
        help="largest batch, or the usual and the largest (segmenters: 1 8, CLIP: 16 32 crops)",
    )  # fmt: skip
    parser.add_argument(
        "--imgsz", type=int, nargs="+", metavar="PX",
        help="the only size to serve, side or height and width (else every size up to the model's own)",
    )  # fmt: skip
    parser.add_argument("--workspace", type=int, metavar="MIB", help="most memory that a kernel may ask for")
    parser.add_argument("--level", type=int, default=3, metavar="0-5", help="how long to look for fast kernels (3)")
    parser.add_argument(
        "--hardware", choices=["this", "same-capability", "ampere-plus"], default="this",
        help="GPUs that a plan runs on: this model, its compute capability, Ampere and later (tensorrt)",
    )  # fmt: skip
    parser.add_argument("--version-compatible", action="store_true", help="let later versions run the plan (tensorrt)")
    parser.add_argument("--no-tf32", action="store_true", help="compute fp32 in fp32 alone")
    parser.add_argument(
        "--threads", type=int, metavar="N",
        help="compile for runs with --threads N (openvino; else for what affinity and the container's quota leave)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=output_path, metavar="DIR", help="folder for the plans, instead of the engine cache"
    )
    parser.add_argument("--again", action="store_true", help="build though the cache has it")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Build every graph of a model, and print a table of the results."""
    from fastsam_engine.choose_builder import choose_builder
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
            raise OutputError(args.out, f"the folder can't be made ({error.strerror})") from error
    for graph in graphs:
        request = _request(args, graph, read_spec(graph), alone=len(graphs) == 1)
        with tqdm(bar_format="{desc} {elapsed}", disable=None, leave=False, file=sys.stderr) as bar:
            bar.set_description_str(f"{graph.name}: building")

            def show(phase: str, done: int, of: int, graph: Path = graph, bar: tqdm[None] = bar) -> None:
                bar.set_description_str(f"{graph.name}: {phase} {done}/{of}", refresh=False)
                bar.update()

            report = backend.build(request, device, show)
        rows.append(_row(graph, request.spec, report))
    print(table(("graph", "for", "size", "built in", "worst error to the graph", "file"), rows))
    return 0


def _request(args: argparse.Namespace, graph: Path, spec: ModelSpec, *, alone: bool) -> BuildRequest:
    from fastsam_engine.spec.model_input import ArraysInput, ImageInput, TokenInput

    takes_batch, takes_size = isinstance(spec.input, ImageInput | TokenInput), isinstance(spec.input, ImageInput)
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
            tf32=not (args.no_tf32 or isinstance(spec.input, ArraysInput)),  # their arrays hold pixel positions
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
    return (
        graph.name,
        report.target,
        f"{report.size / 1e6:.1f} MB",
        "was there" if report.built_s is None else f"{report.built_s:.1f} s",
        "not run here" if worst is None else f"{worst.value:.2g} of {worst.limit:g} ({worst.name})",
        "not kept" if report.path is None else str(report.path),
    )
