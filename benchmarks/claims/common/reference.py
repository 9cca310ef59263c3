"""The reference for our masks: ultralytics, with the same weights that our model was exported from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from claims.common import harness
from claims.common.child_process import Child

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import find_graph, read_spec

WEIGHTS = harness.SHARED / "models" / "yolov8n-seg.pt"
"""Default checkpoint."""


def load(path: Path) -> Any:
    """Open a checkpoint or ONNX file in ultralytics, offline, without installing packages."""
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
    import ultralytics

    return ultralytics.YOLO(str(path), task="segment")


def export_onnx(weights: Path, imgsz_px: int) -> Path:
    """Export weights by ultralytics with its default settings: a fixed square input, written beside the weights."""
    return Path(load(weights).export(format="onnx", imgsz=imgsz_px, verbose=False))


def export_openvino(weights: Path) -> Path:
    """Export weights by ultralytics for OpenVINO, for inputs of any size: a folder beside the weights."""
    return Path(load(weights).export(format="openvino", dynamic=True, verbose=False))


class Peer(Child):
    """ultralytics in its own process, since importing it changes the threads of OpenCV and OpenMP.

    A context manager, which ends the process.
    """

    def __init__(self, path: Path, imgsz_px: int, *, all_cores: bool = False, frame_masks: bool = False) -> None:
        """Open a model.

        Args:
            path: A checkpoint, an ONNX file, or a folder for OpenVINO.
            imgsz_px: Longest side of the network's input.
            all_cores: Whether PyTorch gets all cores; ultralytics by default leaves one idle.
            frame_masks: Whether masks have the size of the frame; by default they have that of the network.
        """
        super().__init__(make_peer, path, imgsz_px, all_cores, frame_masks)

    def show(self, frame: NDArray[np.uint8]) -> None:
        """Set the frame to predict from now on, (H, W, 3) uint8 BGR."""
        self.ask(frame)
        self.time_ms()  # the first call sets the model up

    def time_ms(self) -> float:
        """Predict the frame once, with masks; returns the time in that process, ms."""
        return float(self.ask())


def make_peer(path: Path, imgsz_px: int, all_cores: bool, frame_masks: bool) -> Callable[[Any], float]:
    """A function that takes a frame and returns 0, or takes None, predicts the last frame and returns its time, ms."""
    yolo = load(path)
    options = {"imgsz": imgsz_px, "device": "cpu", "retina_masks": frame_masks, "verbose": False}
    shown: list[NDArray[np.uint8]] = []

    def answer(frame: NDArray[np.uint8] | None) -> float:
        if frame is None:
            return harness.wall_clock(lambda: yolo.predict(shown[-1], **options))()
        shown[:] = [frame]
        yolo.predict(frame, **options)  # the first call chooses the device and the number of threads
        if all_cores:
            import torch

            torch.set_num_threads(os.cpu_count() or 1)
        return 0.0

    return answer


def check_same_weights(model: str, weights: Path) -> None:
    """Refuse a model that was exported from other weights, since a comparison would mean nothing.

    Raises:
        BenchmarkError: The spec names other weights.
        ModelNotFoundError: There is no such model.
    """
    graph = find_graph(model)
    if read_spec(graph).source.weights_sha256 != hashlib.sha256(weights.read_bytes()).hexdigest():
        raise harness.BenchmarkError(
            f"expected {graph} to be exported from {weights}, found other weights; "
            f"run: fastsam-trt export {graph.stem} --weights {weights}"
        )
