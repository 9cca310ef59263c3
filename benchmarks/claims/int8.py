"""Compare int8 with fp32: times of the network and of whole calls on each backend, and the detections that int8 keeps.

Both are opened as a user would. If the CPU computes in bf16 natively, OpenVINO uses bf16 by default for fp32 graphs
(which is another side), and for those parts of an int8 graph that are in floating point.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from claims.common import harness, reference

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import find_graph, open_session, read_spec
from fastsam_engine.spec.model_input import ImageInput
from fastsam_export.int8.calibration_images import CalibrationPictures
from fastsam_trt import Pipeline, Result
from fastsam_trt.frames.image import IMAGE_SUFFIXES, read_image
from fastsam_trt.frames.preprocess import FramePreprocessor
from fastsam_trt.segmentation.nms import box_ious

_BACKENDS = ("openvino", "onnxruntime")
_FASTER, _KEPT, _KEPT_IOU = 1.5, 0.97, 0.9
_CLEAR = 0.05  # closer to the threshold, rounding alone moves a detection across it
_FP32, _INT8, _BF16 = "fp32", "int8", "fp32 graph, auto"


def main() -> int:
    """Export in int8, or use an export, time it and fp32 in turn, and compare their detections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of images to compare on")
    parser.add_argument("--calibration", type=Path, help="folder of other images, to export in int8 from --weights")
    parser.add_argument("--weights", type=Path, default=reference.WEIGHTS, help="ultralytics' checkpoint")
    parser.add_argument("--model", default="yolov8n-seg", help="our fp32 export of it: name, folder or file")
    parser.add_argument("--int8", help="our int8 export of it, instead of --calibration")
    parser.add_argument("--backends", nargs="+", default=_BACKENDS, choices=_BACKENDS)
    harness.add_options(parser, rounds=30)
    args = parser.parse_args()
    if (args.int8 is None) == (args.calibration is None):
        raise harness.BenchmarkError("expected either --calibration or --int8, found both or neither")
    harness.require("onnx", "onnxruntime", "openvino", files=(args.images, args.weights))
    reference.check_same_weights(args.model, args.weights)
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "numpy"))
    with tempfile.TemporaryDirectory() as folder:
        made = args.int8
        if made is None:
            from fastsam_export import export_model

            made = Path(folder) / "int8"
            dense = not read_spec(find_graph(args.model)).export_id  # the networks of both do the same work
            export_model(
                "int8", weights=args.weights, precision="int8", calibration=args.calibration, out=made, dense=dense
            )
        parity = read_spec(find_graph(made)).parity
        if parity is None:
            raise harness.BenchmarkError(f"expected an int8 export with a parity record in {made}, found none")
        print("\n".join(parity.inputs))
        frames = _unseen(args.images, args.calibration)
        return _measure(args, made, frames, facts)


def _unseen(folder: Path, calibration: Path | None) -> list[NDArray[np.uint8]]:
    """The images of a folder, (H, W, 3) BGR, without files that are also among the calibration pictures."""
    paths = sorted(each for each in folder.iterdir() if each.suffix.lower() in IMAGE_SUFFIXES)
    used = CalibrationPictures.of(calibration) if calibration else None
    seen = {each.read_bytes() for each in (*used.calibrating, *used.held_back)} if used else set()
    frames = [read_image(path) for path in paths if path.read_bytes() not in seen]
    if not frames:
        raise harness.BenchmarkError(f"expected images in {folder} that were not calibrated on, found none")
    return frames


def _measure(
    args: argparse.Namespace, made: str | Path, frames: Sequence[NDArray[np.uint8]], facts: dict[str, Any]
) -> int:
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    kept_rows = []
    reached = []
    for backend in args.backends:
        opened = {_FP32: (args.model, "fp32"), _INT8: (made, "auto")}
        if backend == "openvino":
            opened[_BF16] = (args.model, "auto")
        pipelines = {
            name: Pipeline(model, backend=backend, precision=precision) for name, (model, precision) in opened.items()
        }
        frame = frames[len(frames) // 2]
        networks = [
            harness.Side(name, _network(find_graph(model), backend, precision, frame))
            for name, (model, precision) in opened.items()
        ]
        times = harness.measure(networks, args.rounds, args.warmup)
        rows += harness.show_times(f"{backend}: network, {frame.shape[0]} x {frame.shape[1]}", times, [_FP32])
        faster = 1 / harness.ratio(times, _INT8, _FP32).median
        wholes = [harness.Side(name, _whole(pipeline, frame)) for name, pipeline in pipelines.items()]
        whole_times = harness.measure(wholes, args.rounds, args.warmup)
        rows += harness.show_times(f"{backend}: whole call, {frame.shape[0]} x {frame.shape[1]}", whole_times, [_FP32])
        found = {
            name: [pipeline(each, rectangle="smallest") for each in frames] for name, pipeline in pipelines.items()
        }
        conf = read_spec(find_graph(args.model)).defaults["conf"]
        for name in opened:
            shares = [_share(found[_FP32], found[name], least) for least in (conf, conf + _CLEAR)]
            kept_rows.append(
                {
                    "backend": backend,
                    "side": name,
                    "detections": shares[0][1],
                    "kept": shares[0][0],
                    "clear ones": shares[1][1],
                    "kept of them": shares[1][0],
                }
            )
            if name == _INT8:
                reached.append((backend, faster, shares[0][0]))
    rows += harness.show_rows(
        f"fp32's detections on {len(frames)} images that were not calibrated on, box IoU {_KEPT_IOU}, same class",
        kept_rows,
    )
    rows += harness.show_rows(
        "int8", [{"backend": name, "times faster": faster, "kept": kept} for name, faster, kept in reached]
    )
    holding = [faster for _, faster, kept in reached if kept >= _KEPT]
    checks.append(
        harness.Check(
            f"network in int8, times faster than fp32 on its best backend that keeps {_KEPT} of the detections",
            max(holding, default=float("nan")),
            ">=",
            _FASTER,
        )
    )
    return harness.finish(args, facts, rows, checks)


def _network(graph: Path, backend: str, precision: str, frame: NDArray[np.uint8]) -> Any:
    """A run of the network alone, on a preprocessed frame."""
    session = open_session(graph, backend=backend, precision=precision)
    image = session.spec.input
    if not isinstance(image, ImageInput):
        raise harness.BenchmarkError(f"expected a segmenter in {graph}, found a model that takes no pictures")
    inputs = {image.name: FramePreprocessor(image).prepare(frame)[0]}
    return harness.wall_clock(lambda: session.run(inputs))


def _whole(pipeline: Pipeline, frame: NDArray[np.uint8]) -> Any:
    return harness.wall_clock(lambda: pipeline(frame, rectangle="smallest").mask_crops())


def _share(expected: Iterable[Result], found: Iterable[Result], least: float) -> tuple[float, int]:
    """The share of expected detections above a score that are found again, and their number."""
    kept = counted = 0
    for a, b in zip(expected, found, strict=True):
        clear = a.scores >= least
        counted += int(clear.sum())
        if clear.any() and len(b):
            ious = box_ious(a.boxes[clear], b.boxes) * (a.class_ids[clear][:, None] == b.class_ids)
            kept += int((ious.max(axis=1) >= _KEPT_IOU).sum())
    return kept / counted if counted else float("nan"), counted


if __name__ == "__main__":
    harness.entry(main)
