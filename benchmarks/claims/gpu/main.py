"""Compare our runtime with PyTorch on an NVIDIA GPU, within a limited number of minutes.

First on a machine with the export extra and a folder of wheels for the GPU machine, then on the GPU machine:

    python benchmarks/claims/gpu/main.py --export models --wheels wheels    # makes models/pieces/
    python benchmarks/claims/gpu/pieces.py join pieces models
    python benchmarks/claims/gpu/main.py --models models --minutes 8 --json results.jsonl

`--device cpu` rehearses everything without a GPU, with small sizes; its results mean nothing. Missing models are made
if possible: CLIP needs torch, transformers and onnx. `--without torch` rehearses with a package missing.

Each side, family and tool runs in its own process, one after the other, the most important first. If something can't
run, its results differ from those of our fp32 graphs on the CPU, or it no longer fits into the minutes, it gets a row
with the reason. Rows are written as they come.

Without crops ten segments are decoded; with crops only the one that matches the prompt. PyTorch decodes all, and embeds
the text each time, as is usual. Several frames at a time go through one run of the segmenter, and CLIP takes the crops
of each frame. The rows are explained in `benchmarks/README.md`.

fp32 means full precision on all sides except ONNX Runtime's TensorRT provider, which computes in TF32.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from claims.common import harness
from claims.common.seeded_weights import SEGMENTERS
from claims.gpu import pieces as gpu_pieces
from claims.gpu import tasks as gpu_tasks
from claims.gpu.budget import LACKING, Budget, Row, Task, run_tasks
from claims.gpu.case import SCRIPT, ULTRALYTICS
from claims.gpu.process import run_process, worker_environment

# isort: split
from fastsam_engine.gpus import gpu_count, gpus

_NAMES = ("yolov8n-seg", "fastsam-s")
_SHARE_BOUND = 0.9
_PACKAGES = (
    "fastsam-trt", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-cu13", "tensorrt-rtx-cu13", "cuda-core",
    "torch", "ultralytics", "transformers", "numpy", "nvidia-ml-py", "nvidia-cudnn-cu13", "nvidia-cublas",
    "nvidia-cuda-runtime",
)  # fmt: skip
_COLUMNS = ("title", "side", "computes", "kept", "cosine", "p50 ms", "p99 ms", "FPS", "/ PyTorch", "networks ms",
            "share", "limit p50", "limit networks", "note")  # fmt: skip


def main() -> int:
    """Run what fits into the time; returns 0 if all checks hold, else 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu rehearses (cuda)")
    parser.add_argument("--minutes", type=float, metavar="N", help="minutes for everything (8; cpu: 30)")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="folder of models; missing ones are made if possible"
    )
    parser.add_argument("--export", type=Path, metavar="DIR", help="only make the models, in this folder")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="with --export: wheels to put into the pieces")
    parser.add_argument("--piece-mib", type=int, default=50, metavar="N", help="largest piece, MiB (50)")
    parser.add_argument("--only", choices=sorted(SEGMENTERS), action="append", help="only this model; repeatable")
    parser.add_argument("--precision", choices=("fp16", "fp32"), nargs="+", default=["fp16", "fp32"])
    parser.add_argument("--crops", type=int, nargs="+", metavar="N", help="CLIP crops per frame (0 10 100; cpu: 0 2)")
    parser.add_argument("--batch", type=int, nargs="+", metavar="N", help="frames at a time (1 8; cpu: 1 2)")
    parser.add_argument("--imgsz", type=int, metavar="PX", help="longest side of the input (the model's; cpu: 256)")
    parser.add_argument("--case-seconds", type=float, metavar="S", help="timed seconds per case (3; cpu: 1)")
    parser.add_argument(
        "--without", nargs="+", default=[], metavar="PACKAGE", help="rehearse as if it were not installed"
    )
    harness.add_options(parser, rounds=200, warmup=5)
    args = parser.parse_args()
    rehearsal = args.device == "cpu"
    args.minutes = (30 if rehearsal else 8) if args.minutes is None else args.minutes
    if not args.minutes > 0:
        raise harness.BenchmarkError(f"expected --minutes above 0, found {args.minutes:g}")
    if args.export:
        return _export(args)
    if not rehearsal and not gpus():
        raise harness.BenchmarkError(
            f"expected an NVIDIA GPU, found none: {gpu_count().problem}; rehearse: --device cpu"
        )
    budget = Budget(args.minutes * 60)
    facts = {**harness.machine(_PACKAGES), "gpu": [each.name for each in gpus()], "rehearsal": rehearsal}
    if rehearsal:
        print("a rehearsal on the CPU: its results mean nothing")
    with _folder(args.models) as folder:
        return _measure(args, _wanted(args, folder), budget, facts)


def _wanted(args: argparse.Namespace, folder: Path) -> gpu_tasks.Wanted:
    rehearsal = args.device == "cpu" and not args.export
    return gpu_tasks.Wanted(
        folder=folder.resolve(),
        device=args.device,
        names=tuple(args.only or (_NAMES[:1] if rehearsal else _NAMES)),
        precisions=tuple(args.precision),
        batches=tuple(args.batch or ((1, 2) if rehearsal else (1, 8))),
        crops=tuple(args.crops or ((0, 2) if rehearsal else (0, 10, 100))),
        imgsz=args.imgsz or (256 if rehearsal else None),
        rounds=min(args.rounds, 10) if rehearsal else args.rounds,
        warmup=min(args.warmup, 1) if rehearsal else args.warmup,
        case_s=args.case_seconds or (1 if rehearsal else 3),
        without=tuple(args.without),
    )


def _measure(args: argparse.Namespace, wanted: gpu_tasks.Wanted, budget: Budget, facts: Mapping[str, Any]) -> int:
    """Run the tasks; each row is written and shown before the next is waited for."""
    there: dict[str, list[str]] = {}
    limits: dict[str, float] = {}
    rows: list[Row] = []

    def run(task: Task, limit_s: float) -> Iterator[Row]:
        print(f"[{budget.spent_s:5.0f} s] {task.title}", flush=True)
        request = json.dumps({**task.given, "limits": limits})
        worker = [sys.executable, str(Path(__file__).with_name("worker.py")), task.kind, request]
        # Threads that wait for each other become many times slower if other programs keep the cores busy.
        few = {"OMP_NUM_THREADS": "1"} if wanted.rehearsal else {}
        return run_process(worker, limit_s, worker_environment(few))

    def tasks() -> Iterator[Task]:
        yield gpu_tasks.first_look(wanted)
        yield from _once(gpu_tasks.measuring(wanted, there))

    for _, row in run_tasks(tasks(), budget, run):
        harness.add_lines(args.json, facts, [row])
        rows.append(row)
        if row["kind"] == "there":
            there[row["title"]] = row["devices"]
        elif row["kind"] == "limit" and row["limit"]:
            limits[row["computes"]] = row["limit"]
        elif row.get("side") == ULTRALYTICS and row["kind"] in ("missing", "wrong"):
            there["ultralytics"] = []  # the TorchScript is used instead
        if line := _line(row):
            print(f"          {line}", flush=True)
    compared = _compared(rows)
    harness.add_lines(args.json, facts, compared)
    _show(rows, compared)
    checks = [
        harness.Check(f"{row['title']}: {row['side']}: share of the networks", row["share"], ">=", _SHARE_BOUND)
        for row in rows
        if row["kind"] == "times" and "share" in row and row["side"].startswith("ours") and not wanted.rehearsal
    ]
    code = harness.finish(args, facts, [], checks)
    wrong = [row for row in rows if row["kind"] == "wrong" or (row["kind"] == "sanitizer" and row["errors"])]
    print(f"{budget.spent_s:.0f} s of {args.minutes * 60:.0f} s; {len(rows)} rows, {len(wrong)} of them wrong")
    return int(bool(code or wrong))


def _once(tasks: Iterable[Task]) -> Iterator[Task]:
    """Tasks, without those that make something that was tried before."""
    tried: set[str] = set()
    for task in tasks:
        if task.kind not in ("make", "reference") or task.title not in tried:
            tried.add(task.title)
            yield task


def _line(row: Row) -> str:
    """A row as a short line for the screen; empty for rows that are not shown."""
    if row["kind"] == "task":
        return ""
    parts = [str(row.get("title", ""))]
    for name, value in row.items():
        if name not in ("kind", "title") and value not in (None, "", [], {}):
            parts.append(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(parts)


def _compared(rows: Sequence[Row]) -> list[Row]:
    """The time of each side divided by PyTorch's of the same case, if both were timed."""
    timed = [row for row in rows if row["kind"] == "times" and "p50 ms" in row]
    found = []
    for row in timed:
        peers = {each["side"]: each["p50 ms"] for each in timed if each["title"] == row["title"]}
        peer = next((name for name in (ULTRALYTICS, SCRIPT) if name in peers), None)
        if peer is not None:
            ratio = row["p50 ms"] / peers[peer]
            found.append({"kind": "ratio", "title": row["title"], "side": row["side"], "peer": peer, "ratio": ratio})
    return found


def _show(rows: Sequence[Row], compared: Sequence[Row]) -> None:
    """Print the table of times, and the cases without a result."""
    ratios = {(row["title"], row["side"]): row["ratio"] for row in compared}
    parity = {(row["title"], row.get("side")): row for row in rows if row["kind"] == "parity"}
    table = []
    for row in rows:
        if row["kind"] == "times":
            key = row["title"], row["side"]
            answers = parity.get(key, {})
            kept = f"{answers['kept']}/{answers['of']}" if "of" in answers else ""
            table.append({**row, "kept": kept, "cosine": answers.get("cosine", ""), "/ PyTorch": ratios.get(key, "")})
    cells = [[row.get(column, "") for column in _COLUMNS] for row in table]
    shown = [[f"{cell:.4g}" if isinstance(cell, float) else cell for cell in row] for row in cells]
    harness.show_rows("cases", [dict(zip(_COLUMNS, row, strict=True)) for row in shown])
    lacking: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["kind"] in LACKING:
            lacking.setdefault((row.get("side", ""), row["note"]), []).append(row["title"])
    for (side, note), titles in lacking.items():
        print(f"without a result: {side} {'; '.join(titles)}: {note}")


def _export(args: argparse.Namespace) -> int:
    """Make the models, and pack them into pieces; returns 1 if a model can't be made."""
    wanted = _wanted(args, args.export)
    lacking = []

    def run(task: Task, limit_s: float) -> Iterator[Row]:
        worker = [sys.executable, str(Path(__file__).with_name("worker.py")), task.kind]
        request = json.dumps({**task.given, "tiny_clip": False, "device": "cpu"})
        return run_process([*worker, request], 10 * limit_s, worker_environment({}))

    wanted.folder.mkdir(parents=True, exist_ok=True)
    for _, row in run_tasks(_once(gpu_tasks.making(wanted)), Budget(1e6), run):
        if row["kind"] != "task":
            print(_line(row), flush=True)
        if row.get("note"):
            lacking.append(row)
    if args.wheels:
        (wanted.folder / "wheels").mkdir(exist_ok=True)
        for wheel in sorted(args.wheels.glob("*.whl")):
            shutil.copyfile(wheel, wanted.folder / "wheels" / wheel.name)
    try:
        entries = gpu_pieces.split(wanted.folder, wanted.folder / "pieces", args.piece_mib << 20)
    except gpu_pieces.PiecesError as error:
        raise harness.BenchmarkError(str(error)) from error
    harness.show_rows(
        f"pieces in {wanted.folder / 'pieces'}",
        [{"piece": each["file"], "MiB": each["bytes"] / (1 << 20), "use": each["use"]} for each in entries],
    )
    return int(bool(lacking))


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The given folder, or a temporary one."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


if __name__ == "__main__":
    harness.entry(main)
