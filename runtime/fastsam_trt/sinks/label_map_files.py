"""Label maps of the selected segments, one PNG a frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastsam_engine.errors import OutputError
from fastsam_engine.store.atomic_files import check_writable, write_atomically
from fastsam_trt.results.label_map import encode, label_map
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.frame_names import FrameNames
from fastsam_trt.sinks.output_folder import OutputFolder
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame, Kind


class LabelMapSink(Sink):
    """Writes one label map a frame, to one file or each into a folder.

    In a folder an image's map has the image's name, as PASCAL VOC has it, and a frame's its number, `000012.png`; the
    frames of a video that lies among images have the video's name before theirs, `clip-000012.png`.
    """

    def __init__(self, path: Path, kind: Kind, files: Sequence[Path] = ()) -> None:
        """Prepare.

        Args:
            path: A file named `.png`, or a folder, made if it is missing; one that exists may have any name.
            kind: Of the source.
            files: The images of the run, and videos among them; none: maps are named as `Frame.source` shows the file.

        Raises:
            OutputError: It can't be written, or has a suffix that is no folder's.
        """
        if path.suffix and path.suffix.lower() != ".png" and not path.is_dir():
            raise OutputError(path, f"expected a folder or a file named .png, found the suffix {path.suffix!r}")
        self._path = path
        self._names = FrameNames(kind, files)
        self._folder = None if path.suffix.lower() == ".png" and not path.is_dir() else OutputFolder(path)
        if self._folder is None:
            check_writable(path)

    def write(self, frame: Frame, result: Result) -> None:
        """Write the map of a frame."""
        write_atomically(self._target(frame), encode(label_map(result)))

    def _target(self, frame: Frame) -> Path:
        if self._folder is None:
            return self._path
        if self._names.kind == "images":
            return self._folder.take(self._names.stem(frame))
        return self._folder.name(f"{frame.index:06d}")
