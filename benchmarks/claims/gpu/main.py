"""Our runtime on an NVIDIA GPU against PyTorch on the same one, in minutes that are counted.

On a machine with the export extra and a folder of wheels for the other machine, then, with what was carried, there:

    python benchmarks/claims/gpu/main.py --export models --wheels wheels  makes models/pieces/, the most telling first
    python benchmarks/claims/gpu/pieces.py join pieces models
    python benchmarks/claims/gpu/main.py --models models --minutes 8 --json results.jsonl

`--device cpu` rehearses all of it without a GPU, with small sizes: its figures say nothing. What the folder lacks is
made there if it can be: CLIP takes torch, transformers, onnx. `--without torch` rehearses with a package missing.

Each side, family and tool runs in a process of its own, one after the other, most important first. What can't run,
answers otherwise than our fp32 graphs on the processor, or no longer fits into the minutes gets a row with the reason.
Rows are written as they come. Without crops ten segments are decoded, with crops the one that answers the prompt:
PyTorch decodes all and embeds the text each time, as is usual. Several frames at a time go through one run of the
segmenter, and CLIP takes each frame's crops. What the rows mean is in the README beside this file.

fp32 is whole on all sides but ONNX Runtime's TensorRT provider, which rounds factors to 10 bits (tf32).
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
    """Take the options, and run what fits into the time; 0 if all that ran held, 1 if not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu rehearses (cuda)")
    parser.add_argument("--minutes", type=float, metavar="N", help="for everything (8; cpu: 30)")
    parser.add_argument("--models", type=Path, metavar="DIR", help="models; what it lacks is made there if it can be")
    parser.add_argument("--export", type=Path, metavar="DIR", help="make the models in this folder, and no more")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="with --export: wheels to carry too, in DIR/pieces")
    parser.add_argument("--piece-mib", type=int, default=50, metavar="N", help="largest piece, MiB (50)")
    parser.add_argument("--only", choices=sorted(SEGMENTERS), action="append", help="leave the other models out")
    parser.add_argument("--precision", choices=("fp16", "fp32"), nargs="+", default=["fp16", "fp32"])
    parser.add_argument("--crops", type=int, nargs="+", metavar="N", help="CLIP crops a frame (0 10 100; cpu: 0 2)")
    parser.add_argument("--batch", type=int, nargs="+", metavar="N", help="frames at a time (1 8; cpu: 1 2)")
    parser.add_argument("--imgsz", type=int, metavar="PX", help="longest side of the input (the model's; cpu: 256)")
    parser.add_argument("--case-seconds", type=float, metavar="S", help="time for a case's turns (3; cpu: 1)")
    parser.add_argument("--without", nargs="+", default=[], metavar="PACKAGE", help="rehearse as if it were not there")
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
        print("a rehearsal on the processor: its figures say nothing")
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
        told = json.dumps({**task.given, "limits": limits})
        worker = [sys.executable, str(Path(__file__).with_name("worker.py")), task.kind, told]
        # Threads that wait for each other take many times their time where other programs keep the cores busy.
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
            there["ultralytics"] = []  # the TorchScript takes its part
        if line := _line(row):
            print(f"          {line}", flush=True)
    compared = _compared(rows)
    harness.add_lines(args.json, facts, compared)
    _show(rows, compared)
    figures = [
        harness.Check(f"{row['title']}: {row['side']}: networks' share", row["share"], ">=", _SHARE_BOUND)
        for row in rows
        if row["kind"] == "times" and "share" in row and row["side"].startswith("ours") and not wanted.rehearsal
    ]
    code = harness.finish(args, facts, [], figures)
    wrong = [row for row in rows if row["kind"] == "wrong" or (row["kind"] == "sanitizer" and row["errors"])]
    print(f"{budget.spent_s:.0f} s of {args.minutes * 60:.0f} s; {len(rows)} rows, {len(wrong)} of them wrong")
    return int(bool(code or wrong))


def _once(tasks: Iterable[Task]) -> Iterator[Task]:
    """Tasks, without those that make what was tried before."""
    tried: set[str] = set()
    for task in tasks:
        if task.kind not in ("make", "reference") or task.title not in tried:
            tried.add(task.title)
            yield task


def _line(row: Row) -> str:
    """A row in short, for the screen; empty for what needs no word."""
    if row["kind"] == "task":
        return ""
    parts = [str(row.get("title", ""))]
    for name, value in row.items():
        if name not in ("kind", "title") and value not in (None, "", [], {}):
            parts.append(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(parts)


def _compared(rows: Sequence[Row]) -> list[Row]:
    """Each side's time over PyTorch's of the same case, where both were timed."""
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
    """Print the table of what was timed, and what has no answer."""
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
        print(f"without an answer: {side} {'; '.join(titles)}: {note}")


def _export(args: argparse.Namespace) -> int:
    """Make the models and the pieces to carry: 1 if a model can't be made."""
    wanted = _wanted(args, args.export)
    lacking = []

    def run(task: Task, limit_s: float) -> Iterator[Row]:
        worker = [sys.executable, str(Path(__file__).with_name("worker.py")), task.kind]
        told = json.dumps({**task.given, "tiny_clip": False, "device": "cpu"})
        return run_process([*worker, told], 10 * limit_s, worker_environment({}))

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
    """The folder that was given, or one that goes again."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


if __name__ == "__main__":
    harness.entry(main)
