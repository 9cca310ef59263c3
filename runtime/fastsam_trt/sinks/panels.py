"""PanelSink: write three-panel images of original, all segments and selection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.errors import OutputError
from fastsam_engine.store.atomic_files import check_writable, write_atomically
from fastsam_trt.drawing.overlay import draw_panels
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.frame_names import FrameNames
from fastsam_trt.sinks.output_folder import OutputFolder
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame

SAVED_IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class PanelSink(Sink):
    """Writes one image per frame, to a single file or into a folder, named after its source."""

    def __init__(self, path: Path, files: Sequence[Path] = ()) -> None:
        """Check the output.

        Args:
            path: A file with an image suffix, or a folder, which is created if missing. An existing folder may have any
                name.
            files: The images of the run, and videos among them; if empty, images are named after `Frame.source`.

        Raises:
            OutputError: It can't be written.
        """
        self._path = path
        self._names = FrameNames("images", files)
        is_file = path.suffix.lower() in SAVED_IMAGE_SUFFIXES and not path.is_dir()
        self._folder = None if is_file else OutputFolder(path)
        if self._folder is None:
            check_writable(path)

    def write(self, frame: Frame, result: Result) -> None:
        """Write the image of a frame."""
        target = self._path if self._folder is None else self._folder.take(self._names.stem(frame))
        write_image(target, draw_panels(result))


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 BGR to an image file, in the format of its suffix.

    Raises:
        OutputError: The image can't be encoded or the file can't be written.
    """
    good, data = cv2.imencode(path.suffix, image)
    if not good:
        raise OutputError(path, "OpenCV can't encode the image", "use the suffix .png")
    write_atomically(path, data.tobytes())
