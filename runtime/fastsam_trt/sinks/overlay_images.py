"""OverlaySink and PanelSink: write one image per frame, the overlay or three panels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastsam_trt.drawing.style import DrawStyle
from fastsam_trt.frames.image_writer import SAVED_IMAGE_SUFFIXES, check_image_path, write_image
from fastsam_trt.results.panels import draw_panels
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.frame_names import FrameNames
from fastsam_trt.sinks.output_folder import OutputFolder
from fastsam_trt.sinks.shared_overlay import Overlay
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame


class ImageSink(Sink):
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
            check_image_path(path)

    def write(self, frame: Frame, result: Result) -> None:
        """Write the image of a frame."""
        target = self._path if self._folder is None else self._folder.take(self._names.stem(frame))
        write_image(target, self._draw(result))

    @abstractmethod
    def _draw(self, result: Result) -> NDArray[np.uint8]:
        """The image of a result, (H, W, 3) uint8 BGR."""


class OverlaySink(ImageSink):
    """Writes the overlay of each frame."""

    def __init__(self, path: Path, files: Sequence[Path] = (), overlay: Overlay | None = None) -> None:
        """Check the output.

        Args:
            path, files: See `ImageSink`.
            overlay: An overlay that is shared with other sinks; None: not shared.

        Raises:
            OutputError: It can't be written.
        """
        super().__init__(path, files)
        self._overlay = overlay or Overlay()

    def _draw(self, result: Result) -> NDArray[np.uint8]:
        return self._overlay.of(result)


class PanelSink(ImageSink):
    """Writes three panels of each frame: the original, all segments, and the selection."""

    def __init__(self, path: Path, files: Sequence[Path] = (), style: DrawStyle | None = None) -> None:
        """Check the output.

        Args:
            path, files: See `ImageSink`.
            style: How to draw the selection; None: the default.

        Raises:
            OutputError: It can't be written.
        """
        super().__init__(path, files)
        self._style = style

    def _draw(self, result: Result) -> NDArray[np.uint8]:
        return draw_panels(result, self._style)
