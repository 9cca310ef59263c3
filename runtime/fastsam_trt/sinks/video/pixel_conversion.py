"""Pictures as encoders take them."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from fastsam_trt.sinks.video.formats import VideoFormat


class PixelConversion(Protocol):
    """Turns images into frames of FFmpeg."""

    def convert(self, image: NDArray[np.uint8]) -> VideoFrame:
        """Convert an image.

        Args:
            image: (H, W, 3) uint8 BGR, contiguous; it is not kept.
        """
        ...


def conversion_of(form: VideoFormat) -> PixelConversion:
    """The conversion that a format needs."""
    return PaletteConversion() if form.pixel_format == "pal8" else YuvConversion(form)


class YuvConversion:
    """Luma and subsampled chroma: BT.709 of limited range, or JPEG's."""

    def __init__(self, form: VideoFormat) -> None:
        self._format = form.pixel_format
        self._matrix = Colorspace.ITU601 if form.full_range else Colorspace.ITU709
        self._range = ColorRange.JPEG if form.full_range else ColorRange.MPEG
        self._reformatter = VideoReformatter()

    def convert(self, image: NDArray[np.uint8]) -> VideoFrame:
        return self._reformatter.reformat(
            VideoFrame.from_numpy_buffer(image, "bgr24"),
            format=self._format,
            dst_colorspace=self._matrix,
            dst_color_range=self._range,
            threads=1,
        )


class PaletteConversion:
    """256 colours, chosen for each image."""

    def convert(self, image: NDArray[np.uint8]) -> VideoFrame:
        drawn = Image.fromarray(np.ascontiguousarray(image[:, :, ::-1]))
        reduced = drawn.quantize(256, Image.Quantize.FASTOCTREE)
        found = np.asarray(reduced.getpalette("RGB"), np.uint8).reshape(-1, 3)
        palette = np.full((256, 4), 255, np.uint8)  # alpha, red, green, blue
        palette[: len(found), 1:] = found
        indices: Any = (np.asarray(reduced), palette)  # which PyAV's types leave out
        return VideoFrame.from_ndarray(indices, "pal8")
