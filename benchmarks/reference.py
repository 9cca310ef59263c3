"""The reference that our masks are held against: ultralytics, on the very weights that our model was exported from."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import harness

# isort: split
from fastsam_engine import find_graph, read_spec

WEIGHTS = harness.SHARED / "models" / "yolov8n-seg.pt"
"""Default checkpoint."""


def load(path: Path) -> Any:
    """A checkpoint or ONNX file as ultralytics opens it; it looks nothing up on the network and installs nothing."""
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
    import ultralytics

    return ultralytics.YOLO(str(path), task="segment")


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
