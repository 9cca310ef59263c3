"""LabelMapSink: write label maps of the selected segments, one PNG per frame."""

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
    """Writes one label map per frame, to a single file or into a folder.

    In a folder, the map of an image has the name of the image, as in PASCAL VOC, and the map of a video frame its
    index, `000012.png`. Frames of a video among images are prefixed with its name, `clip-000012.png`.
    """

    def __init__(self, path: Path, kind: Kind, files: Sequence[Path] = ()) -> None:
        """Check the output.

        Args:
            path: A file with the suffix `.png`, or a folder, which is created if missing. An existing folder may have
                any name.
            kind: Kind of the source.
            files: The images of the run, and videos among them; if empty, maps are named after `Frame.source`.

        Raises:
            OutputError: It can't be written, or a new folder has a suffix.
        """
        if path.suffix and path.suffix.lower() != ".png" and not path.is_dir():
            raise OutputError(path, f"expected a folder or a .png file, found the suffix {path.suffix!r}")
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
