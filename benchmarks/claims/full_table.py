"""Run `bench` on models of true size of every family, on each backend and in each precision, several times.

    python benchmarks/claims/full_table.py --models models --out results --calibration pictures

Models that `--models` lacks are made there, with random weights, except YOLOv8n-seg if its checkpoint is in `shared/`.
Each of `--runs` gets its own folder in `--out`, with results and reports. At the end the first two runs are compared:
what changed, and how many of their whole calls agree. Without `--calibration` int8 is left out. The groups below define
what is measured for which model. The cells of all groups take turns, so that each is measured over the whole run. Cold
starts and the sweep over segments are measured in the first run only.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from claims.common import harness
from claims.common.seeded_models import CLIP, Models

# isort: split
from fastsam_bench.report.comparison_text import describe
from fastsam_bench.results.comparison import compare
from fastsam_bench.results.results_file import read_results
from fastsam_bench.run.bench import Bench, record
from fastsam_bench.run.plan import BenchOptions
from fastsam_engine.errors import FastsamError

_AGREEING = 0.9
_SECONDS, _QUICK_SECONDS = 4.0, 1.0


@dataclass(frozen=True, slots=True)
class Group:
    """Models with the same measurements.

    Attributes:
        models: Names from `seeded_models`; the suffix `-int8` selects the int8 export. fp16 exports would add nothing,
            since CPUs compute them in fp32 or bf16.
        scenarios, crops, batches, precisions: See `BenchOptions`. On a GPU the precision is always `auto`: that of the
            file.
        once: Scenarios of the first run only.
    """

    models: tuple[str, ...]
    scenarios: tuple[str, ...]
    crops: tuple[int, ...] = (0,)
    batches: tuple[int, ...] = (1,)
    precisions: tuple[str, ...] = ("auto", "fp32")
    once: tuple[str, ...] = ()


GROUPS = (
    Group(("yolov8n-seg",), ("single", "offline", "live"), (0, 10, 100), (1, 8), once=("cold", "sweep")),
    Group(("yolov8n-seg-int8",), ("single", "offline"), batches=(8,), precisions=("auto",)),
    Group(("yolo26n-seg",), ("single", "offline"), (0, 10), (8,)),
    Group(("fastsam-s", "segformer", "detr"), ("single",), (0, 10)),
    Group(("fastsam-x", "mask2former"), ("single",)),  # no crops: the first is slow, the second finds nothing
)


def main() -> int:
    """Make the models, run the groups, and compare the first two runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models", type=Path, required=True, metavar="DIR", help="folder of models; missing ones are made"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="results and reports, one folder per run"
    )
    parser.add_argument("--calibration", type=Path, metavar="DIR", help="calibration pictures for int8")
    parser.add_argument("--backend", default="onnxruntime,openvino", metavar="LIST", help="(%(default)s)")
    parser.add_argument("--device", default="cpu", help="of the backends (%(default)s)")
    parser.add_argument("--size", default="1920x1080", metavar="WxH", help="of frames, px (%(default)s)")
    parser.add_argument("--only", action="append", metavar="M", help="measure only this model; repeatable")
    parser.add_argument("--runs", type=int, default=2, metavar="N", help="number of runs (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="rehearse: one second per cell, three passes")
    args = parser.parse_args()
    known = [model for group in GROUPS for model in group.models]
    if unknown := set(args.only or ()) - set(known):
        raise harness.BenchmarkError(f"expected --only of {', '.join(known)}, found {min(unknown)}")
    harness.require(files=[args.calibration] if args.calibration else [])
    _make(args.models / "models", [CLIP, *(model for group in _groups(args) for model in group.models)], args)
    runs = [args.out / f"run-{number + 1}" for number in range(args.runs)]
    for number, out in enumerate(runs):
        harness.require_new(out)
        out.mkdir(parents=True)
        print(f"{out.name}: {', '.join(model for group in _groups(args) for model in group.models)}", flush=True)
        if failed := _in_new_process(
            partial(_measure, out / "results.jsonl", _requests(args, first=number == 0), args.models)
        ):
            raise harness.BenchmarkError(f"{out.name} can't be measured: {failed}")
        report = [sys.executable, "-m", "fastsam_trt", "bench", "--from", str(out / "results.jsonl"), "--out", str(out)]
        subprocess.run(report, check=True)
    if len(runs) < 2:
        return 0
    found = compare(*(read_results(out / "results.jsonl") for out in runs[:2]))
    print(describe(found))
    share = found.agreeing / found.whole_calls if found.whole_calls else float("nan")
    check = harness.Check("whole calls of two runs whose intervals overlap", share, ">=", _AGREEING)
    print(check.line())
    return 0 if check.holds else 1


def _groups(args: argparse.Namespace) -> Iterator[Group]:
    """The groups, with only the requested models that can be made."""
    for group in GROUPS:
        models = tuple(
            model
            for model in group.models
            if (not args.only or model in args.only) and (args.calibration or not model.endswith("-int8"))
        )
        if models:
            yield dataclasses.replace(group, models=models)


def _make(folder: Path, names: Sequence[str], args: argparse.Namespace) -> None:
    """Make missing models, each in its own process, since PyTorch changes the threads of its process."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if any((folder / name).glob("*.onnx")):
            continue
        print(f"making {name}", flush=True)
        precision = "int8" if name.endswith("-int8") else "fp32"
        make = partial(_export, folder, name.removesuffix("-int8"), precision, args.calibration)
        if failed := _in_new_process(make):
            raise harness.BenchmarkError(f"{name} can't be made: {failed}")


def _in_new_process(work: Callable[[], str]) -> str:
    """Call a function in a new process; returns its error message, or an empty text."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work).result()


def _export(folder: Path, name: str, precision: str, calibration: Path | None) -> str:
    """Make a model; returns an error message, or an empty text. Not every error can be sent between processes."""
    try:
        Models(folder).export(name, precision, calibration if precision == "int8" else None)
    except (FastsamError, harness.BenchmarkError, OSError) as error:
        return str(error)
    return ""


def _requests(args: argparse.Namespace, *, first: bool) -> list[BenchOptions]:
    """The groups as requests of `bench`."""
    width, height = map(int, args.size.split("x"))
    return [
        BenchOptions(
            models=group.models,
            clip=CLIP,
            backends=tuple(args.backend.split(",")),
            device=args.device,
            precisions=group.precisions if args.device == "cpu" else ("auto",),
            batches=group.batches,
            crops=group.crops,
            sizes=((height, width),),
            scenarios=(*group.scenarios, *(group.once if first else ())),
            seconds=_QUICK_SECONDS if args.quick else _SECONDS,
            quick=args.quick,
        )
        for group in _groups(args)
    ]


def _measure(path: Path, requests: Sequence[BenchOptions], home: Path) -> str:
    """Measure a run; returns an error message, or an empty text."""
    os.environ["FASTSAM_TRT_HOME"] = str(home)
    show = partial(print, flush=True)
    try:
        bench = Bench(requests, show)
        try:
            stopped = record(path, bench, ("python", "benchmarks/claims/full_table.py", *sys.argv[1:]))
        finally:
            bench.close()
    except (FastsamError, OSError) as error:
        return str(error)
    print("".join(f"note: {note}\n" for note in bench.notes), end="")
    return "it was stopped" if stopped else ""


if __name__ == "__main__":
    harness.entry(main)
