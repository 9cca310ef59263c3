"""ultralytics: its prediction in PyTorch, or on its own export to ONNX or TensorRT, of the same weights."""

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
    """Everything in a picture, masks included."""

    def open(self, **options: Any) -> str:
        """Take the options: weights, variant, device, conf, iou, frame_masks.

        `variant` is `pytorch`, `onnx` or `engine`; `frame_masks` asks for masks of the picture's size, which
        ultralytics by itself leaves at the network's.
        """
        self._options = options
        self._folder = tempfile.TemporaryDirectory()
        self._yolo = open_yolo(Path(options["weights"]))
        return "masks of the picture's size" if options["frame_masks"] else "masks left at the network's size"

    def show(self, path: Path, **options: Any) -> None:
        """Read the picture; an export is made for its rectangle, (height, width) in `input`, the least it needs."""
        self._frame = read_frame(path)
        self._input: list[int] = options["input"]
        if self._options["variant"] != "pytorch":
            self._yolo = open_yolo(self._export(self._options["variant"]))
        self.call()  # chooses the device, and with it the number of threads
        use_all_cores()

    def call(self) -> Any:
        """Predict, and bring the masks to the host."""
        device, half = self._options["device"], self._options["device"] != "cpu"
        imgsz = max(self._input) if self._options["variant"] == "pytorch" else self._input
        made = self._yolo.predict(
            self._frame, imgsz=imgsz, conf=self._options["conf"], iou=self._options["iou"], device=device, half=half,
            retina_masks=self._options["frame_masks"], verbose=False,
        )[0]  # fmt: skip
        return made.cpu()

    def answer(self, made: Any) -> Answer:
        """A result in the common form."""
        return as_answer(made)

    def embed(self, windows: NDArray[np.intp], texts: list[str]) -> dict[str, NDArray[np.float32]]:
        """There is no CLIP in it."""
        raise NotImplementedError("ultralytics' segmenter answers no text")

    def _export(self, variant: str) -> Path:
        weights = Path(shutil.copy(self._options["weights"], self._folder.name))  # it writes beside them
        half = self._options["device"] != "cpu"
        made = open_yolo(weights).export(
            format=variant, imgsz=self._input, device=self._options["device"], half=half, verbose=False
        )
        return Path(made)


if __name__ == "__main__":
    serve(Ultralytics(), "ultralytics")
