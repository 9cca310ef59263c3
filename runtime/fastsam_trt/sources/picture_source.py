"""PictureSource: one still picture that did not come from disk."""

from __future__ import annotations

from collections.abc import Iterator

from fastsam_trt.picture import decode_picture
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.source import Source


class PictureSource(Source):
    """A picture whose bytes were read from a pipe or an address."""

    kind = "images"
    frames = 1

    def __init__(self, name: str, data: bytes) -> None:
        """Keep the bytes; they are decoded when the frame is wanted.

        Args:
            name: What the user called it.
            data: The bytes of an image file.
        """
        self._name = name
        self._data = data

    def __iter__(self) -> Iterator[Frame]:
        if not self._stopped:
            yield Frame(decode_picture(self._data, self._name), 0, self._name)
