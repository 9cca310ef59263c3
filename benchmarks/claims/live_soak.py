"""A long run: what memory, threads, files and handles it leaves behind, with every frame drawn, encoded and written.

How many frames are in the queues changes with what else the machine does, and memory that was once used stays resident.
So the warm-up stops taking results from time to time until all queues are full: what comes after it is growth, not one
more frame under way.
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

_GROWTH = 0.02
_EVERY = 100
_WARM = 0.1  # of the frames
_FILLINGS, _FILLING_S = 10, 0.5  # pauses in the warm-up, which let the queues fill


def main() -> int:
    """Run, and hold the end against what it was after the warm-up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--prompt", default="red circle")
    harness.add_options(parser)
    args = parser.parse_args()
    facts = harness.machine(("fastsam-trt", "openvino", "opencv-python", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder  # so that what is left there was left by the run
        before: tuple[set[str], int, int] | None = None
        memory: list[int] = []
        warm_up = round(args.frames * _WARM)
        pipeline = Pipeline("demo-seg", prompts=[args.prompt], track=True)
        pipeline(DemoVideo().scene(0).frame)  # opens what opens on first use
        before = _held(Path(folder))
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
                if number < warm_up and number % max(warm_up // _FILLINGS, 1) == 0:
                    time.sleep(_FILLING_S)
                if number % _EVERY == 0:
                    memory.append(_resident_kb())
            figures_of = flow.stats.snapshot()
        seconds = time.perf_counter() - start
        written = sum(1 for _ in (out / "lines.jsonl").open(encoding="utf-8"))
        for each in out.iterdir():
            each.unlink()
        out.rmdir()
        after = _held(Path(folder))
        tempfile.tempdir = None
    warm = memory[round(len(memory) * _WARM) : round(len(memory) * 2 * _WARM)]
    first, last = float(np.median(warm)), float(np.median(memory[-len(warm) :]))
    rows = harness.show_rows(
        "the run",
        [
            {
                "frames": figures_of.frames,
                "FPS": args.frames / seconds,
                "age p99 ms": figures_of.age_p99_ms,
                "crops a frame": figures_of.embedded_per_frame,
                "MB after the warm-up": first / 1024,
                "MB at the end": last / 1024,
                "MB at most": max(memory) / 1024,
            }
        ],
    )
    figures = [
        harness.Figure("frames written", written, "==", args.frames),
        harness.Figure("resident memory, last tenth over the one after the warm-up, less 1", last / first - 1, "<=",
                       _GROWTH),
        harness.Figure("threads left", len(after[0] - before[0]), "==", 0),
        harness.Figure("file handles left", max(after[1] - before[1], 0), "==", 0),
        harness.Figure("temporary files left", max(after[2] - before[2], 0), "==", 0),
    ]  # fmt: skip
    return harness.finish(args, facts, rows, figures)


def _held(folder: Path) -> tuple[set[str], int, int]:
    """Names of threads, number of file handles, number of temporary files."""
    threads = {f"{thread.name} {thread.ident}" for thread in threading.enumerate()}
    return threads, len(list(Path("/proc/self/fd").iterdir())), len(list(folder.rglob("*")))


def _resident_kb() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


if __name__ == "__main__":
    harness.entry(main)
