"""Animation: the frames of an animated GIF, PNG, WebP or AVIF."""

from __future__ import annotations

from collections.abc import Iterator

from fastsam_trt.errors import SourceUnreadableError, TruncatedSourceError
from fastsam_trt.frames.image import as_bgr
from fastsam_trt.frames.pillow_reader import PillowReader
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.source import Source


class Animation(Source):
    """An animated image as a video. Frames are complete images, as a viewer shows them, without alpha."""

    kind = "video"

    def __init__(self, name: str, images: PillowReader, vid_stride: int = 1) -> None:
        """Read the first frame.

        Args:
            name: Name of the source, as given by the user.
            images: Reader of the frames; closed with the source.
            vid_stride: Yield every n-th frame.

        Raises:
            SourceUnreadableError: The first frame is broken.
            ImageSizeError: The image is too large.
        """
        self._name = name
        self._images = images
        self._stride = vid_stride
        self.frames = -(-images.count // vid_stride)
        try:
            images.read(0)
        except BaseException:
            images.close()
            raise
        self.fps = 1 / images.duration_s / vid_stride
        self._end_s: float | None = None

    def __iter__(self) -> Iterator[Frame]:
        self._end_s, media_s = None, 0.0
        for index in range(self._images.count):
            if self._stopped:
                return
            try:
                image = self._images.read(index)
            except SourceUnreadableError as error:
                if index == 0:
                    raise
                raise TruncatedSourceError(self._name, index, self._images.count) from error
            if index % self._stride == 0:
                yield Frame(as_bgr(image), index, self._name, timestamp_s=media_s, media_s=media_s)
            media_s += self._images.duration_s
        self._end_s = media_s
        if not self._images.whole and not self._stopped:
            raise TruncatedSourceError(self._name, self._images.count, None)

    @property
    def end_s(self) -> float | None:
        return self._end_s

    def close(self) -> None:
        self._images.close()
