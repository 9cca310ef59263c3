"""Three-panel pictures of images: original, all segments, selection."""

from __future__ import annotations

from pathlib import Path

import cv2

from fastsam_trt.drawing import draw_panels
from fastsam_trt.errors import OutputError
from fastsam_trt.result import Result
from fastsam_trt.sinks.atomic import check_writable, write_atomically
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class PictureSink(Sink):
    """Writes one picture a frame: to one file, or each into a folder under its source's name."""

    def __init__(self, path: Path) -> None:
        """Prepare.

        Args:
            path: A file with an image suffix, or a folder, made if it is missing.

        Raises:
            OutputError: It can't be written.
        """
        self._path = path
        self._to_file = path.suffix.lower() in PICTURE_SUFFIXES
        self._written: set[Path] = set()
        if not self._to_file:
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(path, f"expected a folder or a place for one ({error.strerror})") from error
        check_writable(path if self._to_file else path / "probe.png")

    def write(self, frame: Frame, result: Result) -> None:
        """Write the picture of a frame."""
        target = self._path if self._to_file else self._free(Path(frame.source).stem)
        good, data = cv2.imencode(target.suffix, draw_panels(result))
        if not good:
            raise OutputError(target, "OpenCV can't encode the picture", "use the suffix .png")
        write_atomically(target, data.tobytes())
        self._written.add(target)

    def _free(self, stem: str) -> Path:
        """A name that this run has not written yet."""
        target, number = self._path / f"{stem}.png", 1
        while target in self._written:
            number += 1
            target = self._path / f"{stem}-{number}.png"
        return target
