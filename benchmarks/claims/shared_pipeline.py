"""Call one pipeline on many threads: count results that differ from a single thread's, and calls per second.

Every thread passes its frames and prompts with the call. Frames are drawn and models are those of the demo, so every
call segments, embeds segments with CLIP, and decodes masks. Three measurements per backend:

    calls     threads call one pipeline without tracking
    ranking   one thread calls a pipeline that tracks, while another ranks the latest result
    clip      four pipelines in four threads share one CLIP model

    python benchmarks/claims/shared_pipeline.py --threads 8 --calls 200 --ranks 2000
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from claims.common import harness

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_trt import Pipeline
from fastsam_trt.bundled_models import CLIP, SEGMENTER
from fastsam_trt.clip.model import Clip
from fastsam_trt.demo.scenes import draw_scene
from fastsam_trt.results.result import Result

_PACKAGES = ("fastsam-trt", "onnxruntime", "openvino", "numpy", "opencv-python")
_PROMPTS = ("red circle", "a green thing", "blue square", "something yellow", "triangle", "a red shape", "star", "ring")
_SIZES = ((240, 320), (320, 320), (360, 640), (320, 240))
_SWITCH_S = 1e-5  # interval of thread switches, 500 times shorter than the default, to provoke rare orders
_PIPELINES = 4


def main() -> int:
    """Measure all backends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=8, metavar="N", help="threads that call one pipeline (8)")
    parser.add_argument("--calls", type=int, default=200, metavar="N", help="calls per thread (200)")
    parser.add_argument("--ranks", type=int, default=2000, metavar="N", help="rankings while a stream runs (2000)")
    harness.add_options(parser)
    args = parser.parse_args()
    harness.require("onnxruntime", "openvino")
    facts = harness.machine(_PACKAGES)
    sys.setswitchinterval(_SWITCH_S)
    rows, checks = list[dict[str, Any]](), list[harness.Check]()
    for backend in ("onnxruntime", "openvino"):
        for name, measure in (("calls", _calls), ("ranking", _ranking), ("clip", _clip)):
            row = {"backend": backend, "what": name, **measure(backend, args)}
            rows.append(row)
            checks.append(harness.Check(f"{backend}, {name}: wrong of {row['calls']}", row["wrong"], "==", 0))
    rows = harness.show_rows("one pipeline in many threads", rows)
    return harness.finish(args, facts, rows, checks)


def _calls(backend: str, args: argparse.Namespace) -> dict[str, Any]:
    pipe = Pipeline(SEGMENTER, backend=backend)
    requests = [(_frame(i), [_PROMPTS[i % len(_PROMPTS)]]) for i in range(args.threads)]
    turns = max(args.calls // 10, 1)
    expected = [_as_bytes(pipe(frame, prompts=prompts)) for frame, prompts in requests]
    start_s = time.perf_counter()
    for frame, prompts in requests * turns:
        _as_bytes(pipe(frame, prompts=prompts))
    alone = len(requests) * turns / (time.perf_counter() - start_s)

    def work(index: int) -> int:
        frame, prompts = requests[index]
        return sum(_as_bytes(pipe(frame, prompts=prompts)) != expected[index] for _ in range(args.calls))

    wrong, spent_s = _at_once(work, args.threads)
    calls = args.threads * args.calls
    return {"calls": calls, "wrong": wrong, "calls/s": calls / spent_s, "calls/s alone": alone}


def _ranking(backend: str, args: argparse.Namespace) -> dict[str, Any]:
    frames = [_frame(i // 5) for i in range(40)]
    expected = list(map(_tracked, _stream(backend, frames, len(frames))))
    latest: list[Result] = []
    pipe = _tracking(backend)
    over = threading.Event()
    wrong = 0

    def stream() -> int:
        differing, turn = 0, 0
        while not over.is_set() or turn % len(frames):
            if turn % len(frames) == 0:
                pipe.track = True  # starts tracking again
            result = pipe(frames[turn % len(frames)])
            differing += _tracked(result) != expected[turn % len(frames)]
            latest.append(result)
            turn += 1
        return differing

    with ThreadPoolExecutor(1) as pool:
        streaming = pool.submit(stream)
        start_s = time.perf_counter()
        try:
            for _ in range(args.ranks):
                while not latest:
                    time.sleep(0.001)
                ranking = pipe.rank(latest[-1])
                wrong += not np.isfinite(ranking.similarities).all()
                del latest[:-1]
        finally:
            over.set()
        spent_s = time.perf_counter() - start_s
        wrong += streaming.result()
    return {"calls": args.ranks, "wrong": wrong, "calls/s": args.ranks / spent_s, "calls/s alone": ""}


def _clip(backend: str, args: argparse.Namespace) -> dict[str, Any]:
    clip = Clip(CLIP, backend=backend)
    pipes = [
        Pipeline(SEGMENTER, clip=clip, backend=backend, selector="clip", prompts=[_PROMPTS[i]])
        for i in range(_PIPELINES)
    ]
    expected = [_as_bytes(pipe(_frame(i))) for i, pipe in enumerate(pipes)]

    def work(index: int) -> int:
        return sum(_as_bytes(pipes[index](_frame(index))) != expected[index] for _ in range(args.calls // 2))

    wrong, spent_s = _at_once(work, _PIPELINES)
    calls = _PIPELINES * (args.calls // 2)
    return {"calls": calls, "wrong": wrong, "calls/s": calls / spent_s, "calls/s alone": ""}


def _tracking(backend: str) -> Pipeline:
    return Pipeline(SEGMENTER, backend=backend, selector="clip", prompts=_PROMPTS[:2], track=True)


def _stream(backend: str, frames: Sequence[NDArray[np.uint8]], count: int) -> list[Result]:
    pipe = _tracking(backend)
    return [pipe(frame) for frame in frames[:count]]


def _at_once(work: Callable[[int], int], threads: int) -> tuple[int, float]:
    """Start threads together. Returns the sum of their results, and the duration in seconds."""
    begin = threading.Barrier(threads)

    def run(index: int) -> int:
        begin.wait()
        return work(index)

    start_s = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        total = sum(pool.map(run, range(threads)))
    return total, time.perf_counter() - start_s


def _frame(index: int) -> NDArray[np.uint8]:
    return draw_scene(index, *_SIZES[index % len(_SIZES)]).frame


def _as_bytes(result: Result) -> tuple[bytes, ...]:
    """Everything in a result, as bytes."""
    masks = b"".join(crop.pixels.tobytes() for crop in result.mask_crops())
    parts = (result.boxes, result.scores, result.class_ids, result.prompt_ids, result.similarities)
    return (*(part.tobytes() for part in parts), masks, repr(result.prompts).encode())


def _tracked(result: Result) -> tuple[bytes, ...]:
    """Selected segments and their tracks. Similarities are excluded: they depend on when CLIP saw a segment."""
    return (result.boxes.tobytes(), result.track_ids.tobytes(), result.prompt_ids.tobytes())


if __name__ == "__main__":
    harness.entry(main)
