"""CocoDatasetSink: write the selected segments of a run as a COCO dataset of images, annotations and categories."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

from fastsam_engine.errors import OutputError
from fastsam_engine.store.atomic_files import PartFile, is_written_in_place
from fastsam_trt import __version__
from fastsam_trt.results.coco import as_annotations
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.coco_ids import CocoIds
from fastsam_trt.sinks.coco_results import as_json, check_json
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame

_CHUNK = 1 << 20


class CocoDatasetSink(Sink):
    """Writes annotations to a temporary file as they come, and moves it to the target when the run ends.

    Every frame is an image, with or without segments. Images are collected in a second, unnamed file, since JSON lists
    can't be interleaved.
    """

    def __init__(self, path: Path, ids: CocoIds) -> None:
        """Check the output.

        Args:
            path: The file, with the suffix `.json`.
            ids: Ids of the run, which several outputs may share.

        Raises:
            OutputError: The file can't be written.
        """
        check_json(path)
        self._path = path
        self._ids = ids
        self._part: PartFile | None = None
        self._images: IO[bytes] | None = None
        self._images_end = 0  # bytes of complete entries
        self._annotations = 0

    def write(self, frame: Frame, result: Result) -> None:
        """Write the image and the annotations of a frame."""
        image_id, categories = self._ids.images.of(frame), self._ids.categories.of(result)
        annotations = as_annotations(result, image_id, categories, self._annotations + 1)
        if self._part is None:
            self._part = PartFile(self._path)
            info = {"description": "Segments selected by fastsam-trt", "version": __version__}
            self._part.write(f'{{"info":{as_json(info)},"licenses":[],"annotations":[')
        height, width = result.size
        self._add_image({"id": image_id, "file_name": self._ids.names.image(frame), "width": width, "height": height})
        for annotation in annotations:
            self._part.write(f"{',' if self._annotations else ''}\n{as_json(annotation)}")
            self._annotations += 1

    def close(self) -> None:
        part, self._part = self._part, None
        images, self._images = self._images, None
        if part is None or images is None:
            return
        with images:
            part.write('\n],"images":[')
            images.seek(0)
            remaining = self._images_end
            while remaining:
                chunk = images.read(min(remaining, _CHUNK))
                part.write(chunk.decode("ascii"))
                remaining -= len(chunk)
        categories = [
            {"id": number, "name": name, "supercategory": ""} for number, name in self._ids.categories.names.items()
        ]
        part.write(f'\n],"categories":{as_json(categories)}}}\n')
        part.finish()

    def _add_image(self, entry: dict[str, object]) -> None:
        data = f"{',' if self._images_end else ''}\n{as_json(entry)}".encode("ascii")
        try:
            if self._images is None:
                folder = None if is_written_in_place(self._path) else self._path.parent
                self._images = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - open until `close`
            rest = memoryview(data)
            while rest:
                rest = rest[self._images.write(rest) :]  # a disk that fills up takes part of it
        except OSError as error:
            raise OutputError(self._path, f"it can't be written ({error.strerror})") from error
        self._images_end += len(data)
