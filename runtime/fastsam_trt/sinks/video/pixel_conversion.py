"""Conversion of BGR images to the pixel formats of video encoders."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from fastsam_trt.sinks.video.formats import VideoFormat


class PixelConversion(Protocol):
    """Converts BGR images to FFmpeg frames."""

    def convert(self, image: NDArray[np.uint8]) -> VideoFrame:
        """Convert an image.

        Args:
            image: (H, W, 3) uint8 BGR, contiguous; not referenced after the call.
        """
        ...


def conversion_of(form: VideoFormat) -> PixelConversion:
    """The conversion for a video format."""
    return PaletteConversion() if form.pixel_format == "pal8" else YuvConversion(form)


class YuvConversion:
    """Conversion to YUV 4:2:0: limited-range BT.709, or full-range BT.601 as in JPEG."""

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
    """Conversion to a palette of 256 colours, chosen per image."""

    def convert(self, image: NDArray[np.uint8]) -> VideoFrame:
        rgb = Image.fromarray(np.ascontiguousarray(image[:, :, ::-1]))
        reduced = rgb.quantize(256, Image.Quantize.FASTOCTREE)
        colours = np.asarray(reduced.getpalette("RGB"), np.uint8).reshape(-1, 3)
        palette = np.full((256, 4), 255, np.uint8)  # alpha, red, green, blue
        palette[: len(colours), 1:] = colours
        indices: Any = (np.asarray(reduced), palette)  # a form that PyAV's type hints lack
        return VideoFrame.from_ndarray(indices, "pal8")
