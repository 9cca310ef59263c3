"""ImageSource: an image in memory, with all its pages."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from fastsam_trt.frames.file_type import sniff
from fastsam_trt.frames.image import as_bgr, decode_image
from fastsam_trt.frames.pillow_reader import PillowReader
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.source import Source


class ImageSource(Source):
    """An image that was read from a pipe or an address. Every page of a TIFF is a frame, `-#1` and so on."""

    kind = "images"

    def __init__(self, name: str, data: bytes) -> None:
        """Store the bytes, which are decoded by the iteration.

        Args:
            name: Name of the source, as given by the user.
            data: The bytes of an image file.

        Raises:
            SourceUnreadableError: The image is a broken TIFF.
        """
        self._name = name
        self._data = data
        self._content = sniff(data)
        self.frames = 1
        if self._content.image_format == "TIFF":
            with self._open() as pages:
                self.frames = pages.count

    def __iter__(self) -> Iterator[Frame]:
        if self._stopped:
            return
        if self.frames == 1:  # also a damaged TIFF with one page left, which then raises
            yield Frame(decode_image(self._data, self._name), 0, self._name)
            return
        with self._open() as pages:
            for page in range(pages.count):
                if self._stopped:
                    return
                yield Frame(as_bgr(pages.read(page)), page, f"{self._name}#{page + 1}")
            pages.check_end()

    def _open(self) -> PillowReader:
        return PillowReader(BytesIO(self._data), self._content, self._name)
