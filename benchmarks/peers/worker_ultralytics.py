"""ultralytics: prediction in PyTorch, or on its own export to ONNX or TensorRT, with the same weights."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from answer import Answer
from numpy.typing import NDArray
from torch_yolo import as_answer, open_yolo
from worker_protocol import serve
from worker_tools import read_frame, use_all_cores


class Ultralytics:
    """All segments of a picture, with masks."""

    def open(self, **options: Any) -> str:
        """Open the model; options: weights, variant, device, conf, iou, frame_masks.

        `variant` is `pytorch`, `onnx` or `engine`. `frame_masks` requests masks at the size of the picture; by default
        ultralytics returns masks at the size of the network.
        """
        self._options = options
        self._folder = tempfile.TemporaryDirectory()
        self._yolo = open_yolo(Path(options["weights"]))
        return "masks at the size of the picture" if options["frame_masks"] else "masks at the size of the network"

    def show(self, path: Path, **options: Any) -> None:
        """Read the picture; an export is made for its smallest rectangle, (height, width) in `input`."""
        self._frame = read_frame(path)
        self._input: list[int] = options["input"]
        if self._options["variant"] != "pytorch":
            self._yolo = open_yolo(self._export(self._options["variant"]))
        self.call()  # the first call chooses the device and the number of threads
        use_all_cores()

    def call(self) -> Any:
        """Predict, and copy the masks to the host."""
        device, half = self._options["device"], self._options["device"] != "cpu"
        imgsz = max(self._input) if self._options["variant"] == "pytorch" else self._input
        made = self._yolo.predict(
            self._frame, imgsz=imgsz, conf=self._options["conf"], iou=self._options["iou"], device=device, half=half,
            retina_masks=self._options["frame_masks"], verbose=False,
        )[0]  # fmt: skip
        return made.cpu()

    def answer(self, made: Any) -> Answer:
        """Convert a result to the common format."""
        return as_answer(made)

    def embed(self, windows: NDArray[np.intp], texts: list[str]) -> dict[str, NDArray[np.float32]]:
        """Not supported: there is no CLIP model."""
        raise NotImplementedError("expected no texts, since ultralytics' segmenter has no CLIP model")

    def _export(self, variant: str) -> Path:
        weights = Path(shutil.copy(self._options["weights"], self._folder.name))  # ultralytics writes beside them
        half = self._options["device"] != "cpu"
        made = open_yolo(weights).export(
            format=variant, imgsz=self._input, device=self._options["device"], half=half, verbose=False
        )
        return Path(made)


if __name__ == "__main__":
    serve(Ultralytics(), "ultralytics")
