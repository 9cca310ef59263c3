"""`fastsam-trt bench`: measure the speed of this machine, and how far it is from its limit."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from fastsam_trt.cli.file_paths import output_path
from fastsam_trt.cli.progress import activity
from fastsam_trt.cli.text_table import table

if TYPE_CHECKING:
    from fastsam_bench.results.runs import Results
    from fastsam_bench.run.plan import BenchOptions

_OUT = Path("fastsam-trt-bench")
_RESULTS, _REPORT, _PAGE = "results.jsonl", "report.md", "report.html"
_EXAMPLES = """\
examples:
  # a rough answer with the model of the package
  fastsam-trt bench --model demo-seg --quick
  # two models on two backends, into a folder
  fastsam-trt bench --model yolov8n-seg --model fastsam-s --backend onnxruntime,openvino --out report/
  # what changed between two recorded results
  fastsam-trt bench --compare before/results.jsonl after/results.jsonl
"""
_EXPLAINED = """\
scenarios:
  single   one frame at a time, from its bytes to the masks of the selected segments
  offline  batches: frames are decoded and preprocessed, run together, and every mask is decoded
  live     the pipeline on a source of 30 frames per second; the time of a call is the age of its frame
  cold     from the start of a process to its first result, with and without a filled cache
  sweep    select and decode 5 to 300 segments, compared with decoding all masks first

With --crops 0 everything is selected. With N crops every frame has exactly N segments, repeated from those that the
model finds; CLIP sees each, and all are decoded. Every cell is measured in several passes, so that the reported spread
includes slow changes of the machine. Ctrl-C keeps what is measured. Results are appended to an existing results file.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's options."""
    parser.usage = "%(prog)s [--model M ...] [--scenario LIST] [--quick] [--out DIR] [options]"
    parser.epilog = f"{_EXPLAINED}\n{_EXAMPLES}"
    _add_measured_options(parser)
    recorded = parser.add_argument_group("recorded results")
    recorded.add_argument(
        "--from", nargs="+", type=Path, dest="files", metavar="FILE", help="write the reports of these files only"
    )
    recorded.add_argument(
        "--compare", nargs=2, type=Path, metavar=("A", "B"), help="print what changed between two files, and end"
    )
    outputs = parser.add_argument_group("outputs")
    outputs.add_argument(
        "--out", type=output_path, default=_OUT, metavar="DIR", help=f"folder for {_RESULTS}, {_REPORT} and {_PAGE}"
    )
    outputs.add_argument(
        "--readme", type=output_path, metavar="FILE", help="file to put the short table into, at <!-- bench -->"
    )
    parser.set_defaults(execute=execute)


def _add_measured_options(parser: argparse.ArgumentParser) -> None:
    from fastsam_bench.run import plan
    from fastsam_engine.backends import all_backends
    from fastsam_engine.spec.model_spec import Precision
    from fastsam_trt.bundled_models import CLIP, SEGMENTER
    from fastsam_trt.default_models import DEFAULT_CLIP

    group = parser.add_argument_group("what to measure", "Items of a LIST are separated by commas.")
    group.add_argument(
        "--model", action="append", metavar="M",
        help=f"segmentation model: name, folder or file; repeatable (default: all installed ones, and {SEGMENTER})",
    )  # fmt: skip
    group.add_argument(
        "--clip", metavar="C", help=f"CLIP model for all (default: {DEFAULT_CLIP}; for {SEGMENTER}: {CLIP})"
    )
    group.add_argument(
        "--backend", default="auto", metavar="LIST",
        help=f"{', '.join(('auto', *all_backends()))}; each is measured with each precision",
    )  # fmt: skip
    group.add_argument("--device", default="auto", help="auto, or a device of the backend such as cpu or cuda:1")
    group.add_argument("--precision", default="auto", metavar="LIST", help=", ".join(("auto", *get_args(Precision))))
    group.add_argument(
        "--scenario", default=",".join(plan.SCENARIOS), metavar="LIST", help="scenarios, which are explained below"
    )
    group.add_argument("--batch", metavar="LIST", help=f"frames per call of offline (default: {_shown(plan.BATCHES)})")
    group.add_argument(
        "--crops", metavar="LIST",
        help="CLIP crops per frame of single; live uses the first "
        f"(default: {_shown(plan.CROPS)}; with --quick: {_shown(plan.QUICK_CROPS)})",
    )  # fmt: skip
    group.add_argument(
        "--sizes", metavar="LIST",
        help="width x height of the frames, px "
        f"(default: {_shown_sizes(plan.SIZES)}; with --quick: {_shown_sizes(plan.QUICK_SIZES)})",
    )  # fmt: skip
    group.add_argument("--video", metavar="FILE", help="take the frames from a video instead of drawing them")
    group.add_argument(
        "--seconds", type=float, metavar="N",
        help="seconds of timed runs per cell, up to twice as long if other programs disturb them "
        f"(default: {plan.SECONDS:g}; with --quick: {plan.QUICK_SECONDS:g})",
    )  # fmt: skip
    group.add_argument("--quick", action="store_true", help="measure roughly, in a minute or two")


def _shown(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def _shown_sizes(sizes: Iterable[tuple[int, int]]) -> str:
    return ",".join(f"{width}x{height}" for height, width in sizes)


def execute(args: argparse.Namespace) -> int:
    """Measure and report, report only, or compare."""
    from fastsam_bench.results.results_file import read_results

    if args.compare is not None:
        from fastsam_bench.report.comparison_text import describe
        from fastsam_bench.results.comparison import compare

        before, after = args.compare
        print(describe(compare(read_results(before), read_results(after))))
        return 0
    _check_outputs(args)
    if args.files is not None:
        _write_reports(args, read_results(args.files))
        return 0
    chosen = _options(args)
    _make_folder(args.out)
    return _measure(args, chosen)


def _measure(args: argparse.Namespace, chosen: BenchOptions) -> int:
    from fastsam_bench.results.results_file import read_results
    from fastsam_bench.run.bench import Bench, record

    path, interrupted = args.out / _RESULTS, False
    if path.exists():
        read_results(path)  # the file to add to must be readable
    with activity("", quiet=args.quiet) as bar:

        def show(activity: str) -> None:
            bar.set_description_str(activity)

        bench = Bench([chosen], show)
        try:
            bar.clear()
            _print_notes(args, bench.notes)
            known = len(bench.notes)
            interrupted = record(path, bench, ("fastsam-trt", *sys.argv[1:]))
        finally:
            bench.close()
    _print_notes(args, bench.notes[known:])
    _write_reports(args, read_results(path))
    return args.interrupts.code if interrupted else 0


def _write_reports(args: argparse.Namespace, results: Results) -> None:
    """Write the reports of the results, and print the short table."""
    from fastsam_bench.report.formatting import doubts
    from fastsam_bench.report.html import make_page
    from fastsam_bench.report.markdown import make_report, update_readme
    from fastsam_bench.report.tables import short_table
    from fastsam_bench.results.runs import by_machine
    from fastsam_engine.store.atomic_files import write_atomically

    readme = None if args.readme is None else update_readme(args.readme.read_text(encoding="utf-8"), results)
    _make_folder(args.out)
    reports = {args.out / _REPORT: make_report(results), args.out / _PAGE: make_page(results)}
    if readme is not None:
        reports[args.readme] = readme
    for path, text in reports.items():
        write_atomically(path, text.encode())
    for machine in by_machine(results.runs):
        short = short_table(machine.cells)
        kept = [i for i, name in enumerate(short.header) if name != "doubts"]  # sentences too long for a terminal
        if short.rows:
            print(table([short.header[i] for i in kept], [[row[i] for i in kept] for row in short.rows]))
        if doubtful := sum(bool(doubts(cell)) for cell in machine.cells):
            print(f"{doubtful} of {len(machine.cells)} cells have doubtful measurements: see {_REPORT}")
    partial = [f"run {run.name} is partial: it was stopped early" for run in results.runs if run.partial]
    _print_notes(args, [*results.notes, *partial])
    for path in [] if args.quiet else reports:
        print(f"saved {path}")


def _print_notes(args: argparse.Namespace, notes: Iterable[str]) -> None:
    for note in [] if args.quiet else notes:
        print(f"fastsam-trt: note: {note}", file=sys.stderr)


def _options(args: argparse.Namespace) -> BenchOptions:
    from fastsam_bench.run.plan import BenchOptions

    return BenchOptions(
        models=None if args.model is None else tuple(dict.fromkeys(args.model)),
        clip=args.clip,
        backends=_listed(args.backend),
        device=args.device,
        precisions=_listed(args.precision),
        batches=_numbers("batch", args.batch),
        crops=_numbers("crops", args.crops),
        sizes=_sizes(args.sizes),
        video=args.video,
        seconds=args.seconds,
        quick=args.quick,
        scenarios=_listed(args.scenario),
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",")))


def _numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    from fastsam_trt.errors import OptionError

    if text is None:
        return None
    parts = _listed(text)
    if not all(part.isdecimal() for part in parts):
        raise OptionError(option, "whole numbers separated by commas, such as 1,8", text)
    return tuple(map(int, parts))


def _sizes(text: str | None) -> tuple[tuple[int, int], ...] | None:
    """Parse `640x480,1920x1080` as (height, width) pairs."""
    from fastsam_trt.errors import OptionError

    if text is None:
        return None
    pairs: list[Sequence[str] | None] = [
        None if (match := re.fullmatch(r"(\d+)x(\d+)", part)) is None else match.groups() for part in _listed(text)
    ]
    if not all(pairs):
        raise OptionError("sizes", "width x height, separated by commas, such as 640x480,1920x1080", text)
    return tuple((int(size[1]), int(size[0])) for size in pairs if size is not None)


def _check_outputs(args: argparse.Namespace) -> None:
    """Check before any work that the README has its markers and the folder is no file."""
    from fastsam_bench.report.markdown import update_readme
    from fastsam_bench.results.runs import Results
    from fastsam_engine.errors import OutputError

    if args.readme is not None:
        if not args.readme.is_file():
            raise OutputError(args.readme, "expected a file with the markers <!-- bench -->, found none")
        update_readme(args.readme.read_text(encoding="utf-8"), Results(()))
    if args.out.exists() and not args.out.is_dir():
        raise OutputError(args.out, "expected a folder, found a file", "name another with --out")


def _make_folder(folder: Path) -> None:
    from fastsam_engine.errors import OutputError
    from fastsam_engine.store.atomic_files import check_writable

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(folder, f"the folder can't be created ({error.strerror})") from error
    for name in (_RESULTS, _REPORT, _PAGE):
        check_writable(folder / name)
