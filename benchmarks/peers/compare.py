"""Compare other projects with ours on the same pictures, weights and thresholds: first results, then times in turn.

    python benchmarks/peers/setup.py ultralytics
    python benchmarks/peers/compare.py ultralytics --out results

Each peer runs in its own process and environment. A pair of sides is not timed if its results differ beyond the bounds.
Exit codes: 0 all pairs were compared, 1 a pair was not, 2 the comparison can't run here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import import_paths  # noqa: F401 - makes the next imports possible

# isort: split
import pins
from our_side import OurSide
from peer_cases import make_case
from same_models import SeededModels
from setup import ENVIRONMENTS, interpreter
from side_by_side import compare_case

from claims.common import harness, reference
from fastsam_bench.results.records import End, Failed, Peer
from fastsam_bench.results.results_file import ResultsWriter
from fastsam_bench.run.run_record import new_run_id, run_head
from fastsam_bench.timing.gpu_watch import GpuWatch

_RESULTS = "results.jsonl"


def main() -> int:
    """Compare the requested peers, and write each record as it is made."""
    args = _arguments()
    start, counts = time.perf_counter(), {Peer: 0, Failed: 0}
    with ExitStack() as stack:
        models = SeededModels(args.models or Path(stack.enter_context(tempfile.TemporaryDirectory())))
        writer = None
        if path := _file(args):
            writer = stack.enter_context(ResultsWriter(path, new_run_id()))
            writer.write(run_head(GpuWatch(), ("python", *sys.argv)))
        for name in args.peers:
            case = make_case(name, args, models)
            python = args.python or interpreter(ENVIRONMENTS / name)
            opened = [OurSide(case.wanted, args.backend, args.device, each) for each in args.precision]
            ours = {side.description: side for side in opened}  # `auto` may equal a named precision
            for record in compare_case(case, python, ours, args.rounds, args.warmup):
                counts[type(record)] += 1
                if writer is not None:
                    writer.write(record)
        if writer is not None:
            seconds = time.perf_counter() - start
            writer.write(End(cells=counts[Peer], failed=counts[Failed], seconds=seconds))
    return 1 if counts[Failed] else 0


def _arguments() -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    images = harness.SHARED / "images"
    parser.add_argument("peers", nargs="+", choices=pins.PEERS, metavar="PEER", help=", ".join(pins.PEERS))
    parser.add_argument(
        "--python", type=Path, help="interpreter of the peers (default: that of benchmarks/peers/.envs/PEER)"
    )
    parser.add_argument("--image", type=Path, nargs="+", default=[images / "bus.jpg", images / "sa_8776.jpg"],
                        metavar="FILE", help="pictures (bus.jpg and sa_8776.jpg; DETR takes the first)")  # fmt: skip
    parser.add_argument("--weights", type=Path, default=reference.WEIGHTS, help="YOLO checkpoint of the peers")
    parser.add_argument("--model", default="yolov8n-seg", help="our export of it: name, folder or file")
    parser.add_argument("--prompt", default="a red bus", help="text for CLIP")
    parser.add_argument("--backend", default="auto", help="ours (auto)")
    parser.add_argument("--device", default="cpu", help="device of both sides: cpu, or cuda for the first GPU (cpu)")
    parser.add_argument(
        "--precision", nargs="+", default=["auto", "fp32"], help="ours, one side per precision (auto fp32)"
    )
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="keep the seeded models in this folder")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="timed turns per side (20)")
    parser.add_argument("--warmup", type=int, default=2, metavar="N", help="turns before them (2)")
    outputs = parser.add_mutually_exclusive_group()
    outputs.add_argument("--out", type=Path, metavar="DIR", help=f"append the records to DIR/{_RESULTS}")
    outputs.add_argument("--json", type=Path, metavar="FILE", help="append the records to this file")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error(f"expected 1 round or more, found {args.rounds}")
    return args


def _file(args: argparse.Namespace) -> Path | None:
    out: Path | None = args.out
    if out is None:
        named: Path | None = args.json
        return named
    out.mkdir(parents=True, exist_ok=True)
    return out / _RESULTS


if __name__ == "__main__":
    harness.entry(main)
