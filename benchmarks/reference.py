"""The reference that our masks are held against: ultralytics, on the very weights that our model was exported from."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import harness

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import find_graph, read_spec

WEIGHTS = harness.SHARED / "models" / "yolov8n-seg.pt"
"""Default checkpoint."""


def load(path: Path) -> Any:
    """A checkpoint or ONNX file as ultralytics opens it; it looks nothing up on the network and installs nothing."""
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
    import ultralytics

    return ultralytics.YOLO(str(path), task="segment")


def export_onnx(weights: Path, imgsz_px: int) -> Path:
    """Export weights as ultralytics itself does with its default settings: a fixed square, written beside them."""
    return Path(load(weights).export(format="onnx", imgsz=imgsz_px, verbose=False))


class Peer:
    """ultralytics in a process of its own: importing it changes how many threads OpenCV and OpenMP give everybody else.

    A context manager; it ends the process.
    """

    def __init__(self, path: Path, imgsz_px: int, *, all_cores: bool = False) -> None:
        """Open a model.

        Args:
            path: A checkpoint or ONNX file.
            imgsz_px: Longest side of the network's input.
            all_cores: Whether PyTorch gets all cores; ultralytics by itself leaves one idle.
        """
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, path, imgsz_px, all_cores), daemon=True)
        self._process.start()
        there.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._here.close()
        self._process.join()

    def show(self, frame: NDArray[np.uint8]) -> None:
        """Hand over the frame that is predicted from now on, (H, W, 3) uint8 BGR."""
        self._here.send(frame)
        self.time_ms()  # the first call sets the model up, and shows whether there is anybody to answer

    def time_ms(self) -> float:
        """Predict the frame once, as a user asks for it, masks included; returns the ms it took over there."""
        try:
            self._here.send(None)
            return float(self._here.recv())
        except (EOFError, OSError):
            raise harness.BenchmarkError("ultralytics can't predict here; its own error is above") from None


def _serve(connection: Connection, path: Path, imgsz_px: int, all_cores: bool) -> None:
    """Predict on demand, until the other end is closed."""
    yolo = load(path)
    options = {"imgsz": imgsz_px, "device": "cpu", "verbose": False}
    frame = None
    while True:
        try:
            received = connection.recv()
        except EOFError:
            return
        if received is not None:
            frame = received
            yolo.predict(frame, **options)  # chooses the device, and with it the number of threads
            if all_cores:
                import torch

                torch.set_num_threads(os.cpu_count() or 1)
            continue
        start = time.perf_counter()
        yolo.predict(frame, **options)
        connection.send((time.perf_counter() - start) * 1e3)


def check_same_weights(model: str, weights: Path) -> None:
    """Refuse a model that was exported from other weights: its differences would say nothing.

    Raises:
        BenchmarkError: Its spec names another file.
        ModelNotFoundError: There is no such model.
    """
    graph = find_graph(model)
    if read_spec(graph).source.weights_sha256 != hashlib.sha256(weights.read_bytes()).hexdigest():
        raise harness.BenchmarkError(
            f"expected {graph} to be exported from {weights}, found other weights; "
            f"run: fastsam-trt export {graph.stem} --weights {weights}"
        )
