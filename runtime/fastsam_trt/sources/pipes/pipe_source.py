"""PipeSource: a video that is read through a pipe."""

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
    """A video through a pipe, read like a file: every frame, in order, once.

    It ends when the writer closes the pipe, and waits for frames without a time limit. MJPEG with HTTP headers, as
    `curl` gets it from a camera, has no timestamps and arrives in real time: media times are then times of capture.
    """

    kind = "video"

    def __init__(self, name: str, pipe: Pipe, vid_stride: int = 1) -> None:
        """Wait for the video's header.

        Args:
            name: Name of the source, as given by the user.
            pipe: The pipe; closed with the source.
            vid_stride: Yield every n-th frame.

        Raises:
            SourceUnreadableError: The data are not a video.
        """
        self._name = name
        self._pipe = pipe
        self._stride = vid_stride
        self._health = SourceHealth()
        self._lock = threading.Lock()
        self._is_closed = False
        self._index = 0  # of the next frame
        self._due = 0  # index of the next frame to yield
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
        with self._lock:  # the decoder may be at work in another thread
            self._reader.close()
            self._pipe.close()
            self._is_closed = True

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._lock:
                captured = None if self._is_closed else self._reader.read(decode=self._index >= self._due)
            self._raise_interrupt()
            if not isinstance(captured, CapturedFrame) or self._stopped:
                break
            lost = captured.damage.lost_frames - self._health.lost_frames
            self._health = captured.damage
            index = self._index + lost
            self._index = index + 1
            media_s = self._media_time(captured, distance=1 + lost)
            self._end_s = self._clock.end(captured.duration_s)
            if captured.image is not None:
                self._due = index - index % self._stride + self._stride
                yield Frame(
                    captured.image, index, self._name, captured.captured_s, media_s, media_s, captured.pixel_aspect
                )
        if self._index == 0 and not self._stopped:
            raise SourceUnreadableError(self._name, "expected a video or image, found no frame that can be decoded")

    def _media_time(self, captured: CapturedFrame, distance: int) -> float:
        if isinstance(self._clock, MediaClock):
            return self._clock.advance(captured.stream_s, distance)
        return self._clock.advance(captured.stream_s, captured.captured_s, waited=captured.waited)

    def _raise_interrupt(self) -> None:
        if self._pipe.interrupt is not None:
            raise self._pipe.interrupt
