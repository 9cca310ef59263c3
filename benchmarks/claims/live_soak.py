"""A long run that draws, encodes and writes every frame: growth of memory, and leaked threads, files and handles.

The number of frames in the queues depends on the load of the machine, and memory that was used once stays resident. So
the warm-up pauses from time to time until all queues are full. Growth after it is a leak and not one more frame in a
queue.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

from claims.common import harness

# isort: split
import numpy as np

from fastsam_trt import Pipeline
from fastsam_trt.sinks import JsonLinesSink, VideoSink
from fastsam_trt.sources.demo_video import DemoVideo
from fastsam_trt.streaming import Flow

_MAX_GROWTH = 0.02
_SAMPLE_FRAMES = 100  # frames between two measurements of the memory
_WARM_UP_SHARE = 0.1  # of the frames
_PAUSES, _PAUSE_S = 10, 0.5  # pauses in the warm-up, in which the queues fill


def main() -> int:
    """Run, and compare the end with the state after the warm-up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--prompt", default="red circle")
    harness.add_options(parser)
    args = parser.parse_args()
    facts = harness.machine(("fastsam-trt", "openvino", "opencv-python", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder  # so that temporary files of the run can be counted
        before: tuple[set[str], int, int] | None = None
        memory: list[int] = []
        warm_up = round(args.frames * _WARM_UP_SHARE)
        pipeline = Pipeline("demo-seg", prompts=[args.prompt], track=True)
        pipeline(DemoVideo().scene(0).frame)  # opens everything that is opened on first use
        before = _resources(Path(folder))
        start = time.perf_counter()
        out = Path(folder) / "out"
        out.mkdir()
        with (
            DemoVideo(args.frames) as source,
            JsonLinesSink(out / "lines.jsonl") as lines,
            VideoSink(out / "video.mp4", source.fps) as video,
            Flow(source, pipeline) as flow,
        ):
            for number, (frame, result) in enumerate(flow):
                lines.write(frame, result)
                video.write(frame, result)
                if number < warm_up and number % max(warm_up // _PAUSES, 1) == 0:
                    time.sleep(_PAUSE_S)
                if number % _SAMPLE_FRAMES == 0:
                    memory.append(_resident_kb())
            stats = flow.stats.snapshot()
        seconds = time.perf_counter() - start
        written = sum(1 for _ in (out / "lines.jsonl").open(encoding="utf-8"))
        for each in out.iterdir():
            each.unlink()
        out.rmdir()
        after = _resources(Path(folder))
        tempfile.tempdir = None
    warm = memory[round(len(memory) * _WARM_UP_SHARE) : round(len(memory) * 2 * _WARM_UP_SHARE)]
    first, last = float(np.median(warm)), float(np.median(memory[-len(warm) :]))
    rows = harness.show_rows(
        "the run",
        [
            {
                "frames": stats.frames,
                "FPS": args.frames / seconds,
                "age p99 ms": stats.age_p99_ms,
                "crops per frame": stats.embedded_per_frame,
                "MB after the warm-up": first / 1024,
                "MB at the end": last / 1024,
                "MB at most": max(memory) / 1024,
            }
        ],
    )
    checks = [
        harness.Check("frames written", written, "==", args.frames),
        harness.Check("growth of resident memory from the tenth after the warm-up to the last", last / first - 1, "<=",
                       _MAX_GROWTH),
        harness.Check("leaked threads", len(after[0] - before[0]), "==", 0),
        harness.Check("leaked file handles", max(after[1] - before[1], 0), "==", 0),
        harness.Check("leaked temporary files", max(after[2] - before[2], 0), "==", 0),
    ]  # fmt: skip
    return harness.finish(args, facts, rows, checks)


def _resources(folder: Path) -> tuple[set[str], int, int]:
    """Return the names of threads, the number of file handles, and the number of temporary files."""
    threads = {f"{thread.name} {thread.ident}" for thread in threading.enumerate()}
    return threads, len(list(Path("/proc/self/fd").iterdir())), len(list(folder.rglob("*")))


def _resident_kb() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


if __name__ == "__main__":
    harness.entry(main)
