"""COCO's results: one JSON array for a whole run, the selected segments only."""

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
    """Writes records as they come, beside the target, and puts the array in its place when the run ends.

    Ids of images and categories are as `CocoIds` has them; `file_name` is the image's path below the folder that all
    are in. A run that finds nothing writes `[]`, which `COCO.loadRes` can't load (an IndexError of its own).
    """

    def __init__(self, path: Path, files: Sequence[Path] = (), ids: CocoIds | None = None) -> None:
        """Prepare.

        Args:
            path: The file, named `.json`.
            files: The images of the run; none: it is a video or camera.
            ids: Of the run, which outputs may share; None: as the files' names have them.

        Raises:
            OutputError: It can't be written, or there is a video among the images.
        """
        check_json(path)
        self._path = path
        self._ids = ids or CocoIds("images" if files else "video", files)
        for video in self._ids.videos:
            raise OutputError(
                path,
                f"expected images only, or one video, found {video} among the images",
                "run it apart, since its frames have no image ids",
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
    """In one line, and in ASCII, so that names that are no text can be written too."""
    return json.dumps(record, separators=(",", ":"))


def check_json(path: Path) -> None:
    """Make sure that a path is one for a JSON file, and can be written.

    Raises:
        OutputError: It is not, or can't.
    """
    if path.suffix.lower() != ".json" and not is_written_in_place(path):
        raise OutputError(path, f"expected the suffix .json, found {path.suffix!r}")
    check_writable(path)
