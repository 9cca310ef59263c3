"""CocoSink: write the selected segments of a run as COCO detection results, one JSON array."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from fastsam_engine.errors import OutputError
from fastsam_engine.store.atomic_files import PartFile, check_writable, is_written_in_place
from fastsam_trt.results.coco import records
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.coco_ids import CocoIds
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame


class CocoSink(Sink):
    """Writes records to a temporary file as they come, and moves it to the target when the run ends.

    `CocoIds` gives the ids of images and categories; `file_name` is the path of the image relative to the common folder
    of all images. A run without segments writes `[]`, which `COCO.loadRes` can't load (it raises IndexError).
    """

    def __init__(self, path: Path, files: Sequence[Path] = (), ids: CocoIds | None = None) -> None:
        """Check the output.

        Args:
            path: The file, with the suffix `.json`.
            files: The images of the run; empty for a video or camera.
            ids: Ids of the run, which several outputs may share; None: ids from the file names.

        Raises:
            OutputError: The file can't be written, or there is a video among the images.
        """
        check_json(path)
        self._path = path
        self._ids = ids or CocoIds("images" if files else "video", files)
        for video in self._ids.videos:
            raise OutputError(
                path,
                f"expected images only, or one video, found {video} among the images",
                "run it by itself: its frames have no image ids",
            )
        self._part: PartFile | None = None
        self._between = "\n"

    def write(self, frame: Frame, result: Result) -> None:
        """Write the records of a frame."""
        image_id, categories = self._ids.images.of(frame), self._ids.categories.of(result)
        if self._part is None:
            self._part = PartFile(self._path)
            self._part.write("[")
        for record in records(result, image_id, categories, file_name=self._ids.names.image(frame)):
            self._part.write(self._between + as_json(record))
            self._between = ",\n"

    def close(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            part.write("\n]\n")
            part.finish()


def as_json(record: object) -> str:
    """Compact JSON in ASCII, so that file names that are not valid text can be written too."""
    return json.dumps(record, separators=(",", ":"))


def check_json(path: Path) -> None:
    """Check that a path has the suffix .json and can be written.

    Raises:
        OutputError: It has another suffix, or can't be written.
    """
    if path.suffix.lower() != ".json" and not is_written_in_place(path):
        raise OutputError(path, f"expected the suffix .json, found {path.suffix!r}")
    check_writable(path)
