"""Compare a model that computes only what can be selected with its dense graph on a video, and their memory.

The command runs on the video in processes, in turn, and its own statistics give the frames per second. Then each side
calls its pipeline for many frames, photos in turn, with masks on whole frames. The dense side may come from another
source tree, such as a release: `--dense-path`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from claims.common import harness
from claims.common.dense_and_sparse import Sides, add_side_options, chosen_pair, open_sides
from claims.common.photos import list_photos
from claims.common.side_process import environment

# isort: split
import numpy as np

_MIN_SPEED, _MAX_GROWTH = 1.3, 0.02
_USUAL_SHARE = 0.1  # of the frames, for a warm-up, then for the first and for the last value


def main() -> int:
    """Run the video, then the frames."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, default=harness.SHARED / "videos" / "bikes.mp4", help="street with cars")
    parser.add_argument("--prompt", default="car", help="of the video (%(default)s)")
    parser.add_argument("--images", type=Path, default=harness.SHARED / "images", help="folder of photos, for memory")
    parser.add_argument("--frames", type=int, default=1000, help="frames for memory; 0 for none (%(default)s)")
    add_side_options(parser)
    harness.add_options(parser, rounds=5, warmup=1)
    args = parser.parse_args()
    harness.require(files=(args.video,))
    photos = list_photos([args.images])
    dense, sparse = chosen_pair(args)
    facts = harness.machine(("fastsam-trt", "openvino", "onnxruntime", "numpy"))
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    if args.rounds:
        rows, checks = _video(dense, sparse, args)
    if args.frames:
        with open_sides(dense, sparse, args) as sides:
            more_rows, more_checks = _memory(sides, photos, args.frames)
        rows += more_rows
        checks += more_checks
    return harness.finish(args, facts, rows, checks)


def _video(dense: Path, sparse: Path, args: argparse.Namespace) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    """The command on the video: ms per frame, as a rate of frames, and the ratio of the rates."""
    given = {"dense": (dense, args.dense_path, ()), "sparse": (sparse, None, ("--compute", args.compute))}
    with tempfile.TemporaryDirectory() as folder:

        def side(name: str) -> harness.Side:
            model, tree, options = given[name]
            return harness.Side(name, lambda: _frame_ms(model, tree, options, args, Path(folder)))

        times = harness.measure([side(name) for name in given], args.rounds, args.warmup, lead_in=False)
    rates = {name: 1e3 / np.array(values) for name, values in times.items()}
    rows = harness.show_rows(
        f"fastsam-trt run --video {args.video.name} --prompt {args.prompt} --json, {args.rounds} rounds",
        [
            {"side": name, "FPS": float(np.median(each)), "min": float(each.min()), "max": float(each.max())}
            for name, each in rates.items()
        ],
    )
    faster = harness.ratio(times, "dense", "sparse").median
    return rows, [harness.Check("video: frames per second, sparse / dense", faster, ">=", _MIN_SPEED)]


def _frame_ms(
    model: Path, tree: Path | None, options: tuple[str, ...], args: argparse.Namespace, folder: Path
) -> float:
    """Run the command once: mean time per frame, ms, from the first capture to the last output."""
    command = [sys.executable, "-P", "-m", "fastsam_trt", "run", "--video", args.video, "--prompt", args.prompt]
    command += ["--model", model.resolve(), "--backend", args.backend, "--precision", args.precision, *options]
    command += ["--json", folder / "lines.jsonl", "--stats", folder / "stats.json"]
    done = subprocess.run(
        list(map(str, command)), check=False, capture_output=True, text=True, env=environment(tree)
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise harness.BenchmarkError(lines[-1].removeprefix("fastsam-trt: error: "))
    stats = json.loads((folder / "stats.json").read_text(encoding="utf-8"))
    return 1e3 / float(stats["fps_out_mean"])


def _memory(sides: Sides, photos: list[Path], frames: int) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    """Resident memory of both sides over many frames."""
    rows: list[dict[str, Any]] = []
    checks = []
    for name, side in (("dense", sides.dense), ("sparse", sides.sparse)):
        resident_kb, peak_kb = side.memory(photos, frames)
        first, last = first_and_last(resident_kb)
        rows.append({"side": name, "MB after the warm-up": first / 1024, "MB at the end": last / 1024,
                     "MB at most": peak_kb / 1024})  # fmt: skip
        checks.append(harness.Check(f"memory: growth, {name}", last / first - 1, "<=", _MAX_GROWTH))
    checks += [
        harness.Check(f"memory: {column}, sparse / dense", rows[1][column] / rows[0][column], "<=", 1.0)
        for column in ("MB at the end", "MB at most")
    ]
    return harness.show_rows(f"resident memory, {frames} frames, everything", rows), checks


def first_and_last(samples: list[int]) -> tuple[float, float]:
    """The medians of the tenth after the warm-up, and of the last tenth."""
    share = max(round(len(samples) * _USUAL_SHARE), 1)
    return float(np.median(samples[share : 2 * share])), float(np.median(samples[-share:]))


if __name__ == "__main__":
    harness.entry(main)
