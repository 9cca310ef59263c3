"""Time the quick start as a new user runs it: the demo video, a text prompt, the overlay encoded."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from claims.common import harness


def main() -> int:
    """Run the command several times, and read the rate that it prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    harness.add_options(parser, rounds=5, warmup=1)
    args = parser.parse_args()
    command = shutil.which("fastsam-trt", path=str(Path(sys.executable).parent)) or shutil.which("fastsam-trt")
    if command is None:
        raise harness.BenchmarkError("expected the command fastsam-trt, found none; run: pip install -e '.[cpu]'")
    facts = harness.machine(("fastsam-trt", "openvino", "onnxruntime", "opencv-python", "numpy"))
    rates: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "out.mp4"
        request = [command, "run", "--video", "demo", "--prompt", "red circle", "--save", str(video)]

        def run() -> None:
            printed = subprocess.run(request, capture_output=True, text=True, check=True).stdout
            found = re.search(r"([\d.]+) FPS", printed)
            if found is None or f"saved {video}" not in printed:
                raise harness.BenchmarkError(f"expected a rate in FPS and the path of the video, found {printed!r}")
            rates.append(float(found[1]))

        side = harness.Side("whole process", harness.wall_clock(run))
        times = harness.measure([side], args.rounds, args.warmup, lead_in=False)
    rows = harness.show_times("quick start, 300 frames of 640 x 360, from the start of the process", times, [])
    kept = harness.Spread.of(rates[args.warmup :])
    rows += harness.show_rows("printed frames per second", [{"median": kept.median, "min": kept.low}])
    return harness.finish(args, facts, rows, [harness.Check("frames per second, median", kept.median, ">=", 25)])


if __name__ == "__main__":
    harness.entry(main)
