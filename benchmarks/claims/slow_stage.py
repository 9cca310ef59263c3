"""Check that `fastsam-trt bench --compare` reports a stage that was slowed by 20 percent, and nothing else.

    python benchmarks/claims/slow_stage.py --model yolov8n-seg --out DIR

In each round `bench` runs in its own process for every side: twice unchanged, and once for each of `--stages`, with
the methods of that stage slowed by a busy loop. In the next round the sides run in rotated order, since the machine
drifts. Then the runs of each side are compared with those of the first.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from claims.common import harness

# isort: split
from fastsam_bench.report.comparison_text import describe
from fastsam_bench.results.compared_time import ENOUGH_RUNS
from fastsam_bench.results.comparison import compare, compared_times
from fastsam_bench.results.results_file import read_results
from fastsam_bench.results.runs import Results

_SLOWER = 1.2
_SLOW_MODE = "--slowed"
_PLAIN = "plain"


def slow(stage: str) -> None:
    """Slow the methods of a stage, in this process; of `clip`, the runs of its network."""
    from fastsam_bench.cases.frames import DrawnFrames
    from fastsam_bench.timing.stage_clock import Observable, StageClock
    from fastsam_engine import Session
    from fastsam_trt.clip.model import Clip
    from fastsam_trt.frames.preprocess import FramePreprocessor
    from fastsam_trt.masks.prototype import PrototypeMasks

    methods = {"capture": (DrawnFrames, "capture"), "preprocess": (FramePreprocessor, "prepare"),
               "decode": (PrototypeMasks, "decode")}  # fmt: skip
    if stage in methods:
        owner, method = methods[stage]
        setattr(owner, method, _slowed(getattr(owner, method)))
        return
    observe = StageClock.observe

    def observe_slowed(self: StageClock, observable: Observable, name: str) -> None:
        session = observable.session if isinstance(observable, Clip) else observable
        if name == stage and isinstance(session, Session):
            session._run_kept = _slowed(session._run_kept)  # type: ignore[method-assign] # noqa: SLF001
        observe(self, observable, name)

    StageClock.observe = observe_slowed  # type: ignore[method-assign]


def _slowed(method: Callable[..., Any]) -> Callable[..., Any]:
    def spinning(*given: Any, **named: Any) -> Any:
        start = time.perf_counter()
        found = method(*given, **named)
        end = start + (time.perf_counter() - start) * _SLOWER
        while time.perf_counter() < end:
            pass
        return found

    return spinning


def main() -> int:
    """Run `bench` plain and slowed in turn, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov8n-seg", help="with prototypes, as YOLOv8-seg (%(default)s)")
    parser.add_argument("--clip", default="clip-vit-base-patch32", help="for crops (%(default)s)")
    parser.add_argument("--backend", default="auto", metavar="LIST", help="(%(default)s)")
    parser.add_argument("--precision", default="auto", metavar="LIST", help="(%(default)s)")
    parser.add_argument("--crops", default="0", metavar="LIST", help="(%(default)s)")
    parser.add_argument("--sizes", default="1920x1080", metavar="LIST", help="of frames, px (%(default)s)")
    stages = ("capture", "preprocess", "engine", "clip", "decode")
    parser.add_argument("--stages", default="preprocess,engine,decode", help=f"of {', '.join(stages)} (%(default)s)")
    parser.add_argument("--rounds", type=int, default=12, metavar="N", help="runs per side (%(default)s)")
    parser.add_argument("--seconds", type=float, default=8.0, metavar="S", help="timed seconds per cell (%(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="results, one folder per side")
    harness.add_options(parser)
    args = parser.parse_args()
    slowed = args.stages.split(",")
    if unknown := set(slowed) - set(stages):
        raise harness.BenchmarkError(f"expected --stages of {', '.join(stages)}, found {min(unknown)}")
    if args.rounds < ENOUGH_RUNS:
        raise harness.BenchmarkError(f"expected --rounds of {ENOUGH_RUNS} or more, found {args.rounds}")
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino"))
    harness.require_new(args.out)
    sides: dict[str, str | None] = {_PLAIN: None, "plain again": None, **{stage: stage for stage in slowed}}
    order = list(sides)
    for number in range(args.rounds):
        for name in order:
            print(f"round {number + 1} of {args.rounds}: {name}", flush=True)
            _bench(args, name, sides[name])
        order.append(order.pop(0))
    rows, held = list[dict[str, Any]](), list[harness.Check]()
    plain = _results(args, _PLAIN)
    for name, stage in list(sides.items())[1:]:
        found = compare(plain, _results(args, name))
        print(f"\n{name}\n{describe(found)}")
        named = sum(change.stage == stage for change in found.changes)
        others = len(found.changes) - named
        there = sum(each == stage for _, each in compared_times(plain))
        rows.append({"slowed": stage or "nothing", "named": named, "of": there, "others": others,
                     "times": found.times_compared, "shows": found.visible, "together": found.together})  # fmt: skip
        change = f"{stage} 20 percent slower" if stage else "nothing slower"
        if there:
            held.append(harness.Check(f"{change}: share of its times that is reported", named / there, ">=", 0.5))
        held.append(harness.Check(f"{change}: other reported times", others, "==", 0))
    return harness.finish(args, facts, harness.show_rows("what --compare reports", rows), held)


def _bench(args: argparse.Namespace, side: str, stage: str | None) -> None:
    """Run `bench` in a new process; it appends to the results of the side."""
    program = [sys.executable, "-m", "fastsam_trt"] if stage is None else [sys.executable, __file__, _SLOW_MODE, stage]
    options = ["bench", "--quick", "--scenario", "single", "--model", args.model, "--clip", args.clip,
               "--backend", args.backend, "--precision", args.precision, "--crops", args.crops, "--sizes", args.sizes,
               "--device", "cpu", "--seconds", str(args.seconds), "--out", str(args.out / side)]  # fmt: skip
    ended = subprocess.run([*program, *options], check=False, capture_output=True, text=True, errors="replace")
    if ended.returncode:
        raise harness.BenchmarkError(f"`bench` failed for {side}: {ended.stderr.strip()}")


def _results(args: argparse.Namespace, side: str) -> Results:
    return read_results(args.out / side / "results.jsonl")


def _slowed_command(arguments: Sequence[str]) -> int:
    from fastsam_trt.cli.main import main as command

    slow(arguments[0])
    return command(arguments[1:])


if __name__ == "__main__":
    if sys.argv[1:2] == [_SLOW_MODE]:
        sys.exit(_slowed_command(sys.argv[2:]))
    harness.entry(main)
