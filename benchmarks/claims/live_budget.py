"""Frame age and delay of decisions with a latency budget, when 30 new objects appear at once.

A camera of 25 frames per second shows a drawn scene of some 30 objects, and another one every few seconds. Embedding 30
crops takes far longer than the budget, as the run without a budget shows. The age of a frame is the time from its
capture until its result is out and its masks are decoded. The delay of a decision is the time from the capture of the
first frame that shows the object until a result decides on it. The table also shows CPU time that the host and other
programs took: the bounds hold for an idle machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from claims.common import harness

# isort: split
import numpy as np

from fastsam_bench.timing.noise import NoiseWatch
from fastsam_trt import Pipeline
from fastsam_trt.demo.scenes import draw_scene
from fastsam_trt.sources import Frame, Source
from fastsam_trt.streaming import Flow

_FPS = 25.0
_DECIDED_S = 1.0


@dataclass(slots=True)
class _Measured:
    """Measurements of a run.

    Attributes:
        ages_ms: Age of each frame.
        segment_ms: Time of the segmenter for each frame.
        delays_s: Delay of each decision.
        undecided_s: How long objects were visible that disappeared without a decision.
        segments, crops_embedded, pending: Counts for each frame.
    """

    ages_ms: list[float] = field(default_factory=list)
    segment_ms: list[float] = field(default_factory=list)
    delays_s: list[float] = field(default_factory=list)
    undecided_s: list[float] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    crops_embedded: list[int] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)


class _Crowds(Source):
    """A camera whose whole scene changes every few seconds."""

    kind = "live"
    fps = _FPS

    def __init__(self, scenes: int, seconds: float, things: int) -> None:
        self._pictures = [draw_scene(seed, items=(things, things)).frame for seed in range(scenes)]
        self._frames_per_scene = round(seconds * _FPS)
        self._stopped = False

    def __iter__(self) -> Iterator[Frame]:
        start = time.perf_counter()
        for index in range(len(self._pictures) * self._frames_per_scene):
            ahead_s = start + index / _FPS - time.perf_counter()
            if ahead_s > 0:
                time.sleep(ahead_s)
            if self._stopped:
                return
            yield Frame(self._pictures[index // self._frames_per_scene].copy(), index, "crowds")

    def stop(self) -> None:
        self._stopped = True


def main() -> int:
    """Run with and without the budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="demo-seg", help="segmenter: name, folder or file")
    parser.add_argument("--clip", default="clip-vit-base-patch32", help="CLIP: name or folder")
    parser.add_argument("--budget", type=float, default=150.0, help="ms")
    parser.add_argument(
        "--things", type=int, default=36, help="objects drawn per scene; some hide others, and about 30 are found"
    )
    parser.add_argument("--scenes", type=int, default=12, help="scenes after the one that warms up")
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds per scene")
    harness.add_options(parser)
    args = parser.parse_args()
    facts = harness.machine(("fastsam-trt", "openvino", "opencv-python", "numpy"))
    pipeline = Pipeline(args.model, clip=args.clip, prompts=["a red circle"], selector="clip")
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    for budget in (args.budget, None):
        pipeline.budget_ms = budget
        pipeline.track = True
        watch = NoiseWatch()
        with watch.block():
            seen = _run(pipeline, _Crowds(args.scenes + 1, args.seconds, args.things), args.seconds)
        (noise,) = watch.blocks
        segment_ms = float(np.median(seen.segment_ms))
        p50, p99 = np.percentile(seen.ages_ms, [50, 99]).tolist()
        slowest = max([*seen.delays_s, *seen.undecided_s])
        rows.append(
            {
                "budget ms": "none" if budget is None else budget,
                "frames": len(seen.ages_ms),
                "segments per frame": float(np.mean(seen.segments)),
                "crops per frame": float(np.mean(seen.crops_embedded)),
                "most pending": max(seen.pending),
                "age p50 ms": p50,
                "age p99 ms": p99,
                "age max ms": max(seen.ages_ms),
                "decision after s, median": float(np.median(seen.delays_s)),
                "slowest s": slowest,
                "undecided": len(seen.undecided_s),
                "segmenter ms": segment_ms,
                "the host took": noise.stolen,
                "others took": noise.others,
            }
        )
        if budget is None:
            checks.append(
                harness.Check("p99 of frame age without a budget, divided by the budget", p99 / args.budget, ">=", 2.0)
            )
        else:
            checks = [
                harness.Check("p99 of frame age minus one segmenter call, ms", p99 - segment_ms, "<=", budget),
                harness.Check("slowest decision, s", slowest, "<=", _DECIDED_S),
            ]
    shown = harness.show_rows(f"{args.things} new objects every {args.seconds:g} s, {_FPS:g} frames per second", rows)
    return harness.finish(args, facts, shown, checks)


def _run(pipeline: Pipeline, source: _Crowds, seconds: float) -> _Measured:
    """Measure every result except those of the first scene."""
    seen = _Measured()
    first: dict[int, float] = {}
    waiting: dict[int, float] = {}
    begun: float | None = None
    with Flow(source, pipeline) as flow:
        for frame, result in flow:
            result.mask_crops()
            now = time.perf_counter()
            begun = frame.captured_s if begun is None else begun
            kept = frame.captured_s - begun >= seconds
            ids = set(result.segments.track_ids.tolist())
            pending = set(result.segments.track_ids[result.pending].tolist())
            for track in ids - first.keys():
                first[track] = frame.captured_s
                waiting[track] = frame.captured_s
            decided = [track for track in waiting if track in ids and track not in pending]
            gone = [track for track, last in waiting.items() if track not in ids and frame.captured_s - last > 1]
            for track in ids & waiting.keys():
                waiting[track] = frame.captured_s
            for track in decided:
                del waiting[track]
                if kept:
                    seen.delays_s.append(now - first[track])
            for track in gone:
                last = waiting.pop(track)
                if kept and last > first[track]:  # an object visible in only one frame needs no decision
                    seen.undecided_s.append(last - first[track])
            if kept:
                seen.ages_ms.append((now - frame.captured_s) * 1e3)
                seen.segment_ms.append(result.speed["preprocess"] + result.speed["segment"])
                seen.segments.append(len(result.segments))
                seen.crops_embedded.append(result.crops_embedded)
                seen.pending.append(len(result.pending))
    return seen


if __name__ == "__main__":
    harness.entry(main)
