"""PipeSource: a video through a pipe, every frame in order, once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from fastsam_trt.errors import SourceUnreadableError
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.health import SourceHealth
from fastsam_trt.sources.live_clock import LiveClock
from fastsam_trt.sources.media_clock import MediaClock
from fastsam_trt.sources.pipes.pipe import Pipe
from fastsam_trt.sources.source import Source
from fastsam_trt.sources.video.reader_events import CapturedFrame
from fastsam_trt.sources.video.stream_reader import StreamReader


class PipeSource(Source):
    """A video that comes through a pipe, read as a file is: every frame, in order.

    Its end is where the writer closes the pipe. Frames are waited for as long as the writer takes. MJPEG with HTTP
    headers, as `curl` takes it from a camera, has no times and comes as fast as it is filmed: its frames belong where
    they were captured.
    """

    kind = "video"

    def __init__(self, name: str, pipe: Pipe, vid_stride: int = 1) -> None:
        """Wait for the video's header.

        Args:
            name: What the user called it.
            pipe: The pipe, which is closed with this.
            vid_stride: Take every n-th frame.

        Raises:
            SourceUnreadableError: What comes is no video.
        """
        self._name = name
        self._pipe = pipe
        self._stride = vid_stride
        self._health = SourceHealth()
        self._lock = threading.Lock()
        self._is_closed = False
        self._index = 0  # of the next frame
        self._due = 0  # of the next one that is wanted
        try:
            self._reader = StreamReader(pipe)
        except LookupError as error:
            raise SourceUnreadableError(name, str(error)) from error
        except OSError as error:
            self._raise_interrupt()
            found = f"data that FFmpeg can't read as one ({error})"
            raise SourceUnreadableError(name, f"expected a video or image, found {found}") from error
        fps = self._reader.opened.fps
        self.fps = None if fps is None else fps / vid_stride
        self._clock = LiveClock(self._reader.opened.began_s) if fps is None else MediaClock(None, fps)
        self._end_s: float | None = None

    @property
    def end_s(self) -> float | None:
        return self._end_s

    @property
    def health(self) -> SourceHealth:
        return self._health

    def stop(self) -> None:
        super().stop()
        self._pipe.stop()

    def close(self) -> None:
        self.stop()
        with self._lock:  # not under the decoder, which may be at work in another thread
            self._reader.close()
            self._pipe.close()
            self._is_closed = True

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._lock:
                shot = None if self._is_closed else self._reader.read(decode=self._index >= self._due)
            self._raise_interrupt()
            if not isinstance(shot, CapturedFrame) or self._stopped:
                break
            lost = shot.damage.lost_frames - self._health.lost_frames
            self._health = shot.damage
            index = self._index + lost
            self._index = index + 1
            media_s = self._place(shot, 1 + lost)
            self._end_s = self._clock.end(shot.duration_s)
            if shot.image is not None:
                self._due = index - index % self._stride + self._stride
                yield Frame(shot.image, index, self._name, shot.captured_s, media_s, media_s, shot.pixel_aspect)
        if self._index == 0 and not self._stopped:
            raise SourceUnreadableError(self._name, "expected a video or image, found no frame that can be decoded")

    def _place(self, shot: CapturedFrame, behind: int) -> float:
        if isinstance(self._clock, MediaClock):
            return self._clock.place(shot.stream_s, behind)
        return self._clock.place(shot.stream_s, shot.captured_s, waited=shot.waited)

    def _raise_interrupt(self) -> None:
        if self._pipe.interrupt is not None:
            raise self._pipe.interrupt
