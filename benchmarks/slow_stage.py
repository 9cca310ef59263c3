"""Whether `fastsam-trt bench --compare` names a stage that was slowed by 20 percent, and nothing else, on real times.

    python benchmarks/slow_stage.py --model yolov8n-seg --clip clip-vit-base-patch32 --out DIR

`bench` runs as it is, in processes of its own: twice as the code is, and once for each of `--stages` with the methods
of that stage made to spin for a fifth of what they took. Each slowed run is compared with the run before it that was
not, since a machine's own state drifts; so plain and slowed runs take turns.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import harness

# isort: split
from fastsam_trt.bench.comparing import Comparison, compare, figures
from fastsam_trt.bench.results_file import read_results

_SLOWER = 1.2
_SLOW_MODE = "--slowed"


def slow(stage: str) -> None:
    """Slow a stage's methods down, in this process."""
    from fastsam_trt.bench.frames import DrawnFrames
    from fastsam_trt.bench.stage_clock import StageClock
    from fastsam_trt.preprocess import FramePreprocessor
    from fastsam_trt.prototype_masks import PrototypeMasks

    methods = {"capture": (DrawnFrames, "capture"), "preprocess": (FramePreprocessor, "__call__"),
               "decode": (PrototypeMasks, "decode")}  # fmt: skip
    if stage in methods:
        owner, method = methods[stage]
        setattr(owner, method, _slowed(getattr(owner, method)))
        return
    watch = StageClock.watch

    def watch_slowed(self: StageClock, owner: object, method: str, name: str) -> None:
        if name == stage:
            setattr(owner, method, _slowed(getattr(owner, method)))
        watch(self, owner, method, name)

    StageClock.watch = watch_slowed  # type: ignore[method-assign]


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
    parser.add_argument("--clip", default="clip-vit-base-patch32", help="(%(default)s)")
    parser.add_argument("--backend", default="onnxruntime,openvino", metavar="LIST", help="(%(default)s)")
    parser.add_argument("--precision", default="auto,fp32", metavar="LIST", help="(%(default)s)")
    parser.add_argument("--crops", default="0,10", metavar="LIST", help="(%(default)s)")
    parser.add_argument("--sizes", default="1920x1080", metavar="LIST", help="of frames, px (%(default)s)")
    stages = ("capture", "preprocess", "engine", "clip", "decode")
    parser.add_argument("--stages", default="preprocess,engine,decode", help=f"of {', '.join(stages)} (%(default)s)")
    parser.add_argument("--seconds", type=float, default=6.0, metavar="S", help="a cell (%(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="results, a folder a run")
    harness.add_options(parser)
    args = parser.parse_args()
    slowed = args.stages.split(",")
    if unknown := set(slowed) - set(stages):
        raise harness.BenchmarkError(f"expected --stages of {', '.join(stages)}, found {min(unknown)}")
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino"))
    rows, held = list[dict[str, Any]](), list[harness.Figure]()
    first, plain = _bench(args, "plain-0"), _bench(args, "plain-1")
    found = _compare(first, plain)
    rows.append({"slowed": "nothing", **_counted(found, None), "of": 0})
    held.append(harness.Figure("named between two runs of the same code", len(found.changes), "==", 0))
    for number, stage in enumerate(slowed):
        if number:
            plain = _bench(args, f"plain-{number + 1}")
        found = _compare(plain, _bench(args, f"slow-{stage}", stage))
        counted = _counted(found, stage)
        there = sum(each == stage for _, each in figures(read_results(plain)))
        rows.append({"slowed": stage, **counted, "of": there})
        held += [
            harness.Figure(f"{stage} 20 percent slower: share of its times named", counted["named"] / there, ">=", 0.5),
            harness.Figure(f"{stage} 20 percent slower: others that are named", counted["others"], "==", 0),
        ]
    return harness.finish(args, facts, harness.show_rows("what --compare names", rows), held)


def _bench(args: argparse.Namespace, name: str, stage: str | None = None) -> Path:
    """Run `bench` in a process of its own: its results."""
    out = args.out / name
    harness.require_new(out)
    program = [sys.executable, "-m", "fastsam_trt"] if stage is None else [sys.executable, __file__, _SLOW_MODE, stage]
    options = ["bench", "--scenario", "single", "--model", args.model, "--clip", args.clip, "--backend", args.backend,
               "--precision", args.precision, "--crops", args.crops, "--sizes", args.sizes, "--device", "cpu",
               "--seconds", str(args.seconds), "--out", str(out)]  # fmt: skip
    print(f"running {name}", flush=True)
    if subprocess.run([*program, *options], check=False, stdout=subprocess.DEVNULL).returncode:
        raise harness.BenchmarkError(f"`bench` failed for {name}")
    return out / "results.jsonl"


def _compare(before: Path, after: Path) -> Comparison:
    return compare(read_results(before), read_results(after))


def _counted(found: Comparison, stage: str | None) -> dict[str, Any]:
    others = [f"{change.case} {change.stage} x{change.ratio:.2f}" for change in found.changes if change.stage != stage]
    print("\n".join(f"named besides: {each}" for each in others) or "nothing named besides")
    return {"shows": found.visible, "named": len(found.changes) - len(others), "others": len(others)}


def _slowed_command(arguments: Sequence[str]) -> int:
    from fastsam_trt.cli.main import main as command

    slow(arguments[0])
    return command(arguments[1:])


if __name__ == "__main__":
    if sys.argv[1:2] == [_SLOW_MODE]:
        sys.exit(_slowed_command(sys.argv[2:]))
    harness.entry(main)
