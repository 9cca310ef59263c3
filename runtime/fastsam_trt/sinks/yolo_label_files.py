"""YoloLabelSink: write labels for training YOLO, one text file per frame."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from fastsam_engine.errors import OutputError
from fastsam_engine.store.atomic_files import write_atomically
from fastsam_trt.results.categories import Categories
from fastsam_trt.results.result import Result
from fastsam_trt.results.yolo_labels import label_lines
from fastsam_trt.sinks.frame_names import FrameNames
from fastsam_trt.sinks.output_folder import OutputFolder
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame

_logger = logging.getLogger(__name__)


class YoloLabelSink(Sink):
    """Writes ultralytics' label files into a folder: `photo.txt` for `photo.jpg`, `clip_12.txt` for a video frame.

    Subfolders below the common folder of all images are kept. A frame without segments gets an empty file, which
    ultralytics treats as background. At the end of the run, `classes.txt` and `data.yaml` list the class names: those
    of the model, or the prompts if the model has no class names, numbered from 0.
    """

    def __init__(self, path: Path, names: FrameNames, *, confidence: bool = False) -> None:
        """Create the folder.

        Args:
            path: The folder, created if missing.
            names: Names of the frames.
            confidence: Whether lines end with the score of the segment.

        Raises:
            OutputError: It can't be written.
        """
        self._folder = OutputFolder(path)
        self._path = path
        self._names = names
        self._confidence = confidence
        self._categories = Categories(first=0, official=False)
        self._written = False

    def write(self, frame: Frame, result: Result) -> None:
        """Write the file of a frame."""
        lines = label_lines(result, self._categories.of(result), confidence=self._confidence)
        target = self._target(frame)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(target, f"its folder can't be created ({error.strerror})") from error
        write_atomically(target, lines.encode("ascii"))
        self._written = True

    def close(self) -> None:
        if not self._written:
            return
        self._written = False
        names = self._categories.names
        lines = "".join(" ".join(name.split()) + "\n" for name in names.values())
        write_atomically(self._path / "classes.txt", lines.encode("utf-8", "backslashreplace"))
        folder = self._names.folder
        where = "" if folder is None else f"path: {_quoted(str(folder.resolve()))}\ntrain: .\nval: .\n"
        quoted = "".join(f"  {number}: {_quoted(name)}\n" for number, name in names.items())
        write_atomically(self._path / "data.yaml", f"{where}names:\n{quoted}".encode("utf-8", "backslashreplace"))

    def _target(self, frame: Frame) -> Path:
        label = self._names.label(frame)
        if self._names.kind != "images":
            return self._folder.name(label, ".txt")
        target = self._folder.take(label, ".txt")
        if target.name != f"{Path(label).name}.txt":
            _logger.warning(
                "the labels of %s are in %s: the usual name is taken by another image, or too long",
                frame.source,
                target,
            )
        return target


def _quoted(text: str) -> str:
    """A YAML string: in double quotes they are the same as in JSON."""
    return json.dumps(text, ensure_ascii=False)
