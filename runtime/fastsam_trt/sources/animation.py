"""Animation: a GIF, animated PNG, WebP or AVIF, every frame in order."""

from __future__ import annotations

from collections.abc import Iterator

from fastsam_trt.errors import SourceUnreadableError, TruncatedSourceError
from fastsam_trt.frames.image import as_bgr
from fastsam_trt.frames.pillow_reader import PillowReader
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.source import Source


class Animation(Source):
    """An animated picture as a video. Each frame is the whole picture that a viewer would show, without its alpha."""

    kind = "video"

    def __init__(self, name: str, pictures: PillowReader, vid_stride: int = 1) -> None:
        """Prepare.

        Args:
            name: What the user called it.
            pictures: Its frames; closed with it.
            vid_stride: Take every n-th frame.

        Raises:
            SourceUnreadableError: Its first frame is broken.
            PictureSizeError: It is too large.
        """
        self._name = name
        self._pictures = pictures
        self._stride = vid_stride
        self.frames = -(-pictures.count // vid_stride)
        try:
            pictures.read(0)
        except BaseException:
            pictures.close()
            raise
        self.fps = 1 / pictures.duration_s / vid_stride
        self._end_s: float | None = None

    def __iter__(self) -> Iterator[Frame]:
        self._end_s, place_s = None, 0.0
        for index in range(self._pictures.count):
            if self._stopped:
                return
            try:
                picture = self._pictures.read(index)
            except SourceUnreadableError as error:
                if index == 0:
                    raise
                raise TruncatedSourceError(self._name, index, self._pictures.count) from error
            if index % self._stride == 0:
                yield Frame(as_bgr(picture), index, self._name, timestamp_s=place_s, media_s=place_s)
            place_s += self._pictures.duration_s
        self._end_s = place_s
        if not self._pictures.whole and not self._stopped:
            raise TruncatedSourceError(self._name, self._pictures.count, None)

    @property
    def end_s(self) -> float | None:
        return self._end_s

    def close(self) -> None:
        self._pictures.close()
