"""Pictures of single segments: cut out of the frame, or their masks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_engine.store.atomic_files import write_atomically
from fastsam_trt.masks.mask_source import paste
from fastsam_trt.results.result import Result, cut_out
from fastsam_trt.sinks.frame_names import FrameNames, slug
from fastsam_trt.sinks.output_folder import OutputFolder
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sources import Frame

_LONGEST_BYTES = 160  # of the source's part of a name
_UNNAMED = "object"


class SegmentImageSink(Sink):
    """Writes a PNG for each selected segment into a folder: `photo-00-red-car.png`, `clip-000012-00-person.png`.

    The last number is the segment's index in the result, the words after it are the prompt that selected the segment,
    or its class.
    """

    def __init__(self, path: Path, names: FrameNames) -> None:
        """Prepare.

        Args:
            path: The folder, made if it is missing.
            names: Names of the frames.

        Raises:
            OutputError: It can't be written.
        """
        self._folder = OutputFolder(path)
        self._names = names

    def write(self, frame: Frame, result: Result) -> None:
        """Write the images of a frame."""
        stem, unique = self._names.stem(frame, _LONGEST_BYTES), self._folder.name
        if self._names.kind == "images":  # which may share a name, in several folders
            stem, unique = self._folder.take(stem, "").name, self._folder.take
        for index, (name, image) in enumerate(zip(_names(result), self._images(result), strict=True)):
            if image is not None:
                data = cv2.imencode(".png", image)[1]  # by default for speed: a few ms a megabyte
                write_atomically(unique(f"{stem}-{index:02d}-{name}"), data.tobytes())

    @abstractmethod
    def _images(self, result: Result) -> Iterator[NDArray[np.uint8] | None]:
        """An image for each segment, or None where there is nothing to see."""


class CutoutSink(SegmentImageSink):
    """Writes each segment as an image of its box, transparent beside the mask. One without pixels has none."""

    def _images(self, result: Result) -> Iterator[NDArray[np.uint8] | None]:
        for crop in result.mask_crops():
            yield cut_out(result.frame, crop) if crop.pixels.any() else None


class MaskSink(SegmentImageSink):
    """Writes the mask of each segment at the frame's size, grey: 255 on the mask, 0 beside it."""

    def _images(self, result: Result) -> Iterator[NDArray[np.uint8] | None]:
        for crop in result.mask_crops():
            (mask,) = paste([crop], *result.frame.shape[:2])
            yield mask.view(np.uint8) * np.uint8(255)


def _names(result: Result) -> list[str]:
    """What each segment answers, as a part of a file's name."""
    prompts: tuple[Any, ...] = result.prompts
    texts = [
        prompts[prompt_id] if prompt_id >= 0 else label or ""
        for prompt_id, label in zip(result.prompt_ids.tolist(), result.labels, strict=True)
    ]
    return [slug(text) or _UNNAMED for text in texts]
