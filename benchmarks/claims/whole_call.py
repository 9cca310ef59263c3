"""Compare the whole call, frame in and masks out, with ultralytics and with the bare network run in it."""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast

from claims.common import harness, reference
from claims.common.child_process import Child
from claims.common.photos import tile

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_bench.timing.stage_clock import StageClock
from fastsam_engine import open_session
from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt import Pipeline
from fastsam_trt.frames.image import read_image
from fastsam_trt.frames.preprocess import FramePreprocessor

_IMGSZ_PX = 640
_PROMPT = "person"
_BACKENDS = (("auto", "auto"), ("openvino", "fp32"), ("onnxruntime", "fp32"))
_ONNX, _TORCH, _TORCH_ALL = "ultralytics ONNX", "ultralytics PyTorch", "ultralytics PyTorch, all cores"
_BOUNDS = {_ONNX: 0.6, _TORCH: 0.8, _TORCH_ALL: 0.8}
_BARE_BOUND = {"fp32": 1.10, "bf16": 1.20}


def main() -> int:
    """Time the sides on a photo and on a 1080p frame, then compare our call with the network run in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, default=harness.SHARED / "images" / "bus.jpg", help="photo with a person")
    parser.add_argument("--weights", type=Path, default=reference.WEIGHTS, help="ultralytics' checkpoint")
    parser.add_argument("--model", default="yolov8n-seg", help="our export of it: name, folder or file")
    harness.add_options(parser, rounds=40, warmup=5)
    args = parser.parse_args()
    harness.require("torch", "ultralytics", "onnx", "onnxruntime", files=(args.image, args.weights))
    reference.check_same_weights(args.model, args.weights)
    photo = read_image(args.image)
    frames = {f"{args.image.name}, {photo.shape[0]} x {photo.shape[1]}": photo, "1080 x 1920": tile(photo, 1080, 1920)}
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "ultralytics", "torch", "numpy"))
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    pipelines: dict[str, Pipeline] = {}
    opened: dict[str, tuple[str, str]] = {}
    for backend, precision in _BACKENDS:
        pipeline = _open(args.model, backend, precision)
        got = f"{pipeline.segmenter.session.backend} {pipeline.segmenter.session.precision}"
        name = f"ours, auto: {got}" if backend == "auto" else f"ours, {got}"
        pipelines[name], opened[name] = pipeline, (backend, precision)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        onnx = _export(args.weights, Path(folder))
        peers = {
            _ONNX: stack.enter_context(reference.Peer(onnx, _IMGSZ_PX)),
            _TORCH: stack.enter_context(reference.Peer(args.weights, _IMGSZ_PX)),
            _TORCH_ALL: stack.enter_context(reference.Peer(args.weights, _IMGSZ_PX, all_cores=True)),
        }
        for title, frame in frames.items():
            for peer in peers.values():
                peer.show(frame)
            sides = [harness.Side(name, _whole(each, frame)) for name, each in pipelines.items()]
            sides += [harness.Side(name, peer.time_ms) for name, peer in peers.items()]
            times = harness.measure(sides, args.rounds, args.warmup)
            rows += harness.show_times(f"whole call, {title}", times, list(peers))
            auto = next(iter(pipelines))
            for name, bound in _BOUNDS.items():
                found = harness.ratio(times, auto, name).median
                checks.append(harness.Check(f"{title}: {auto} / {name}", found, "<=", bound))
    for pipeline in pipelines.values():
        pipeline.close()
    for title, frame in frames.items():
        for name, how in opened.items():
            more_rows, more_checks = _against_bare(f"{title}: {name}", args.model, *how, frame, args)
            rows += more_rows
            checks += more_checks
    return harness.finish(args, facts, rows, checks)


def _export(weights: Path, folder: Path) -> Path:
    """Ultralytics' ONNX export of the weights, with its default settings: a fixed square."""
    copy = Path(shutil.copy(weights, folder))  # ultralytics writes beside the weights
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
        return apart.submit(reference.export_onnx, copy, _IMGSZ_PX).result()


def _whole(pipeline: Pipeline, frame: NDArray[np.uint8]) -> Callable[[], float]:
    """Our whole call: segment, select, decode the masks, paste them into whole frames; returns its ms."""

    def call() -> None:
        result = pipeline(frame, rectangle="smallest")
        result.mask_crops()
        result.masks()

    return harness.wall_clock(call)


def _open(model: str, backend: str, precision: str) -> Pipeline:
    return Pipeline(model, prompts=[_PROMPT], selector="labels", imgsz=_IMGSZ_PX, backend=backend, precision=precision)


def make_whole(
    model: str, backend: str, precision: str, frame: NDArray[np.uint8], *, boxes: bool
) -> Callable[[object], tuple[float, float]]:
    """Our whole call, with masks in boxes or on whole frames: its ms, and those of the network run in it."""
    pipeline = _open(model, backend, precision)
    clock = StageClock()
    clock.observe(pipeline.segmenter.session, "engine")
    whole = harness.wall_clock(lambda: pipeline(frame, rectangle="smallest").mask_crops()) if boxes else (
        _whole(pipeline, frame))  # fmt: skip
    return lambda _: (whole(), clock.spent["engine"][-1])


def make_bare(
    model: str, backend: str, precision: str, frame: NDArray[np.uint8], *, plain: bool
) -> Callable[[object], float]:
    """A run of the session alone, on a prepared input: its ms.

    A session may normalise images inside its run. `plain` runs the network as it was exported, so that work that moved
    into the session does not count as saved.
    """
    session = _open(model, backend, precision).segmenter.session
    if plain:
        session = open_session(session.path, session.backend, session.device, session.precision)
    image = cast("ImageInput", session.spec.input)
    array, _ = FramePreprocessor(image, (_IMGSZ_PX, _IMGSZ_PX)).prepare(frame)
    timed = harness.wall_clock(lambda: session.run({image.name: array}))
    return lambda _: timed()


def _against_bare(
    title: str, model: str, backend: str, precision: str, frame: NDArray[np.uint8], args: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    """Compare the whole call with the run in it, with that run alone, and with the network alone, a process each."""
    given = model, backend, precision, frame
    with ExitStack() as stack:
        whole, boxed = (stack.enter_context(Child(partial(make_whole, boxes=each), *given)) for each in (False, True))
        bare, network = (stack.enter_context(Child(partial(make_bare, plain=each), *given)) for each in (False, True))
        inside_ms = float("nan")

        def call() -> float:
            nonlocal inside_ms
            whole_ms, inside_ms = whole.ask()
            return float(whole_ms)

        sides = [
            harness.Side("whole call, masks on whole frames", call),
            harness.Side("session.run in it", lambda: inside_ms),  # of the preceding whole call
            harness.Side("session.run alone", bare.ask),
            harness.Side("network alone", network.ask),
            harness.Side("whole call, masks in boxes", lambda: float(boxed.ask()[0])),
        ]
        times = harness.measure(sides, args.rounds, args.warmup)
    against = [side.name for side in sides[1:4]]
    bound = _BARE_BOUND["bf16" if title.endswith("bf16") else "fp32"]
    rows = harness.show_times(f"{title}, a process for each side", times, against)
    checks = [
        harness.Check(f"{title}: whole call / {name}", harness.ratio(times, sides[0].name, name).median, "<=", bound)
        for name in against
    ]
    return rows, checks


if __name__ == "__main__":
    harness.entry(main)
