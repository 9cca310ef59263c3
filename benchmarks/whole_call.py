"""The whole call, frame in and masks out: against ultralytics, and against the bare network run that it contains."""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import harness
import reference

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session, open_session
from fastsam_engine.model_spec import ImageInput
from fastsam_trt import Pipeline
from fastsam_trt.picture import read_picture
from fastsam_trt.preprocess import FramePreprocessor

_IMGSZ_PX = 640
_PROMPT = "person"
_BACKENDS = (("auto", "auto"), ("openvino", "fp32"), ("onnxruntime", "fp32"))
_ONNX, _TORCH, _TORCH_ALL = "ultralytics ONNX", "ultralytics PyTorch", "ultralytics PyTorch, all cores"
_BOUNDS = {_ONNX: 0.6, _TORCH: 0.8, _TORCH_ALL: 0.8}
_BARE_BOUND = 1.10


class TimedRun:
    """Stands in for a session's `run`: remembers what the last run took, ms, and on what input."""

    def __init__(self, session: Session) -> None:
        self._run = session.run
        self.inputs: dict[str, NDArray[Any]] = {}
        self.last_ms = float("nan")

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.inputs = dict(inputs)
        outputs: dict[str, NDArray[Any]] = {}
        self.last_ms = harness.wall_clock(lambda: outputs.update(self._run(inputs)))()
        return outputs


def main() -> int:
    """Time the sides on a photo and on a full HD frame, then our call against its own network run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, default=harness.SHARED / "images" / "bus.jpg", help="photo with a person")
    parser.add_argument("--weights", type=Path, default=reference.WEIGHTS, help="ultralytics' checkpoint")
    parser.add_argument("--model", default="yolov8n-seg", help="our export of it: name, folder or file")
    harness.add_options(parser, rounds=40, warmup=5)
    args = parser.parse_args()
    harness.require("torch", "ultralytics", "onnx", "onnxruntime", files=(args.image, args.weights))
    reference.check_same_weights(args.model, args.weights)
    photo = read_picture(args.image)
    frames = {f"{args.image.name}, {photo.shape[0]} x {photo.shape[1]}": photo, "1080 x 1920": _full_hd(photo)}
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "ultralytics", "torch", "numpy"))
    rows: list[dict[str, Any]] = []
    figures: list[harness.Figure] = []
    pipelines: dict[str, Pipeline] = {}
    for backend, precision in _BACKENDS:
        pipeline = Pipeline(
            args.model, prompts=[_PROMPT], selector="labels", imgsz=_IMGSZ_PX, backend=backend, precision=precision
        )
        got = f"{pipeline.segmenter.session.backend} {pipeline.segmenter.session.precision}"
        pipelines[f"ours, auto: {got}" if backend == "auto" else f"ours, {got}"] = pipeline
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
                figures.append(harness.Figure(f"{title}: {auto} / {name}", found, "<=", bound))
    for title, frame in frames.items():
        for name, pipeline in pipelines.items():
            more_rows, more_figures = _against_bare(f"{title}: {name}", pipeline, frame, args)
            rows += more_rows
            figures += more_figures
    return harness.finish(args, facts, rows, figures)


def _full_hd(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame of 1080 x 1920 px: the photo beside itself as often as it takes, so that it stays a photo of things."""
    import cv2

    width_px = round(photo.shape[1] * 1080 / photo.shape[0])
    scaled = photo if photo.shape[0] == 1080 else cv2.resize(photo, (width_px, 1080), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.tile(scaled, (1, -(-1920 // width_px), 1))[:, :1920])


def _export(weights: Path, folder: Path) -> Path:
    """The ONNX file that ultralytics itself makes of the weights: its default settings, a fixed square."""
    copy = Path(shutil.copy(weights, folder))  # ultralytics writes beside the weights
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
        return apart.submit(reference.export_onnx, copy, _IMGSZ_PX).result()


def _whole(pipeline: Pipeline, frame: NDArray[np.uint8]) -> Callable[[], float]:
    """Our whole call: segment, select, decode the masks, lay them on whole frames; returns its ms."""

    def call() -> None:
        result = pipeline(frame, rectangle="smallest")
        result.crops()
        result.masks()

    return harness.wall_clock(call)


def _network(session: Session, frame: NDArray[np.uint8]) -> Callable[[], object]:
    """A run of the network as it was exported, on input prepared beforehand.

    A session may normalise pictures inside its run; work that is moved there must not count as saved.
    """
    plain = open_session(session.path, session.backend, session.device, session.precision)
    if not isinstance(plain.spec.input, ImageInput):
        raise harness.BenchmarkError(f"expected a segmenter in {session.path}, found a model that takes no pictures")
    array, _ = FramePreprocessor(plain.spec.input, (_IMGSZ_PX, _IMGSZ_PX))(frame)
    return lambda: plain.run({plain.spec.input.name: array})


def _against_bare(
    title: str, pipeline: Pipeline, frame: NDArray[np.uint8], args: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[harness.Figure]]:
    """The whole call against the run of its session inside it, that run alone, and the run of the network alone."""
    session = pipeline.segmenter.session
    bare = session.run
    inside = TimedRun(session)
    with mock.patch.object(session, "run", inside):
        pipeline(frame, rectangle="smallest")
        inputs = {name: array.copy() for name, array in inside.inputs.items()}  # the pipeline overwrites its own
        sides = [
            harness.Side("whole call, masks on whole frames", _whole(pipeline, frame)),
            harness.Side("session.run in it", lambda: inside.last_ms),  # of the whole call just before
            harness.Side("session.run alone", harness.wall_clock(lambda: bare(inputs))),
            harness.Side("network alone", harness.wall_clock(_network(session, frame))),
            harness.Side(
                "whole call, masks in boxes", harness.wall_clock(lambda: pipeline(frame, rectangle="smallest").crops())
            ),
        ]
        times = harness.measure(sides, args.rounds, args.warmup)
    against = [side.name for side in sides[1:4]]
    taken = ", ".join(f"{array.dtype} {' x '.join(map(str, array.shape))}" for array in inputs.values())
    rows = harness.show_times(f"{title}, session takes {taken}", times, against)
    figures = [
        harness.Figure(
            f"{title}: whole call / {name}", harness.ratio(times, sides[0].name, name).median, "<=", _BARE_BOUND
        )
        for name in against
    ]
    return rows, figures


if __name__ == "__main__":
    harness.entry(main)
