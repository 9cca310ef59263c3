"""CutoutSink and MaskSink: write one image per segment, a cut-out or its mask."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.store.atomic_files import write_atomically
from fastsam_trt.masks.mask_source import paste
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.frame_names import FrameNames, slug
from fastsam_trt.sinks.output_folder import OutputFolder
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame

_LONGEST_BYTES = 160  # of the source's name in a file name
_UNNAMED = "object"


class SegmentImageSink(Sink):
    """Writes a PNG per selected segment into a folder: `photo-00-red-car.png`, `clip-000012-00-person.png`.

    The last number is the index of the segment in the result. The words after it are the prompt that selected the
    segment, or its class.
    """

    def __init__(self, path: Path, names: FrameNames) -> None:
        """Create the folder.

        Args:
            path: The folder, created if missing.
            names: Names of the frames.

        Raises:
            OutputError: It can't be written.
        """
        self._folder = OutputFolder(path)
        self._names = names

    def write(self, frame: Frame, result: Result) -> None:
        """Write the images of a frame."""
        stem, unique = self._names.stem(frame, _LONGEST_BYTES), self._folder.name
        if self._names.kind == "images":  # images in different folders may share a name
            stem, unique = self._folder.take(stem, "").name, self._folder.take
        for index, (name, image) in enumerate(zip(_names(result), self._images(result), strict=True)):
            if image is not None:
                data = cv2.imencode(".png", image)[1]  # OpenCV's fast default: a few ms per megabyte
                write_atomically(unique(f"{stem}-{index:02d}-{name}"), data.tobytes())

    @abstractmethod
    def _images(self, result: Result) -> Iterator[NDArray[np.uint8] | None]:
        """One image per segment; None for a segment without pixels."""


class CutoutSink(SegmentImageSink):
    """Writes segments cut out of the frame at the size of their box, transparent outside the mask, if not empty."""

    def _images(self, result: Result) -> Iterator[NDArray[np.uint8] | None]:
        for crop in result.mask_crops():
            yield crop.cut_out(result.frame) if crop.pixels.any() else None


class MaskSink(SegmentImageSink):
    """Writes masks at the size of the frame, grey: 255 inside the mask, 0 outside."""

    def _images(self, result: Result) -> Iterator[NDArray[np.uint8] | None]:
        for crop in result.mask_crops():
            (mask,) = paste([crop], *result.size)
            yield mask.view(np.uint8) * np.uint8(255)


def _names(result: Result) -> list[str]:
    """The prompts or classes of the segments, as parts of file names."""
    return [slug(name or "") or _UNNAMED for name in result.display_names]
