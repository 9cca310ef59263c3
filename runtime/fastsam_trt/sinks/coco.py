"""COCO's results: one JSON array for a whole run, the selected segments only."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from fastsam_engine.atomic_files import PartFile, check_writable
from fastsam_engine.errors import OutputError
from fastsam_trt.coco import as_records, official_ids
from fastsam_trt.result import Result
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame
from fastsam_trt.sources.files import is_video
from fastsam_trt.sources.naming import printable


class CocoSink(Sink):
    """Writes records as they come, beside the target, and puts the array in its place when the run ends.

    The id of an image is the number that ends its name (139 for `000000139.jpg` and `COCO_val2014_000000000139.jpg`),
    else its place in the run, from 0; the id of a frame of a video or camera is the frame's number. Categories are the
    official ones where the model's classes are COCO's 80 things, else as in `fastsam_trt.coco.as_records`. A run
    that finds nothing writes `[]`, which `COCO.loadRes` can't load (an IndexError of its own).
    """

    def __init__(self, path: Path, files: Sequence[Path] = ()) -> None:
        """Prepare.

        Args:
            path: The file, named `.json`.
            files: The images of the run; none: it is a video or camera.

        Raises:
            OutputError: It can't be written, or two of the images would have the same id.
        """
        if path.suffix.lower() != ".json":
            raise OutputError(path, f"expected the suffix .json, found {path.suffix!r}")
        check_writable(path)
        self._path = path
        self._image_ids = _image_ids(path, files)
        self._part: PartFile | None = None
        self._between = "\n"
        self._categories: dict[int, int] | None = None

    def write(self, frame: Frame, result: Result) -> None:
        """Write the records of a frame."""
        if self._part is None:
            self._part = PartFile(self._path)
            self._part.write("[")
            self._categories = official_ids(result.class_names)
        image_id = self._image_ids.get(frame.source, frame.index)
        for record in as_records(result, image_id, self._categories):
            self._part.write(self._between + json.dumps(record, separators=(",", ":")))
            self._between = ",\n"

    def close(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            part.write("\n]\n")
            part.finish()


def _image_ids(path: Path, files: Sequence[Path]) -> dict[str, int]:
    """The id of each image by its source's name."""
    ids: dict[str, int] = {}
    owners: dict[int, Path] = {}
    for place, file in enumerate(files):
        if is_video(file):
            raise OutputError(
                path,
                f"expected images only, or one video, found {file} among the images",
                "run it apart, since its frames have no image ids",
            )
        number = re.search(r"[0-9]+$", file.stem)
        image_id = int(number[0]) if number else place
        if image_id in owners:
            raise OutputError(
                path,
                f"expected an image id for each image, found {image_id} for {owners[image_id]} and {file}",
                "rename one, or run them apart",
            )
        owners[image_id] = file
        ids[printable(file)] = image_id
    return ids
