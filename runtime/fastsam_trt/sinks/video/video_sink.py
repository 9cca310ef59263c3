"""VideoSink: record the overlay to a video file."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from fastsam_engine.store.atomic_files import check_writable
from fastsam_trt.results.result import Result
from fastsam_trt.sinks.shared_overlay import Overlay
from fastsam_trt.sinks.sink import Sink
from fastsam_trt.sinks.video.canvas import Canvas
from fastsam_trt.sinks.video.formats import format_of
from fastsam_trt.sinks.video.timeline import Timeline
from fastsam_trt.sources import Frame

if TYPE_CHECKING:
    from fastsam_trt.sinks.video.encoder import VideoEncoder

_USUAL_FPS = 30.0
_FINEST_RATE = 1001  # the largest denominator of a frame rate: 30000/1001


class VideoSink(Sink):
    """Encodes the overlay of every frame, at the size of the first frame, with the timestamp of the frame.

    Nothing is written before the first frame. The file is playable up to the last complete frame at any time, even if
    the process is killed or the disk fills.
    """

    def __init__(
        self,
        path: Path,
        fps: float | None,
        overlay: Overlay | None = None,
        sound: Path | None = None,
        *,
        start_s: float | None = None,
        find_end_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        """Check the output.

        Args:
            path: The file; its suffix chooses the container. Pipes and devices get a streamable format.
            fps: Frame rate for frames without `media_s`, and for containers without timestamps; None: 30.
            overlay: An overlay that is shared with other sinks; None: not shared.
            sound: File whose sound belongs to the frames, such as `Source.sound`; None: no sound.
            start_s: Media time at which the recording begins, with the first frame; None: the time of that frame.
            find_end_s: Called at the end; returns the media time at which the last frame ends, as `Source.end_s`. If it
                returns None, the last frame is shown for the median interval.

        Raises:
            OutputError: The file can't be written, or no container has this suffix.
        """
        self._format = format_of(path)
        check_writable(path)
        self._path = path
        self._rate = Fraction(fps or _USUAL_FPS).limit_denominator(_FINEST_RATE) or Fraction(1, _FINEST_RATE)
        self._overlay = overlay or Overlay()
        self._sound = sound
        self._tick_s = self._format.tick_s or 1 / self._rate
        self._timeline = Timeline(self._tick_s, self._format.least_ticks, float(1 / self._rate), start_s)
        self._find_end_s = find_end_s
        self._canvas = Canvas(self._format.align_px)
        self._encoder: VideoEncoder | None = None

    def write(self, frame: Frame, result: Result) -> None:
        """Encode one frame. A frame too close to the previous one for the container is dropped.

        Raises:
            OutputError: The file can't be created, or the encoder does not take frames of this size.
            OutputStoppedError: There is no space for the frame; the file has the frames before it.
        """
        tick = self._timeline.tick_of(frame.media_s)
        if tick is None:
            return
        image = self._canvas.fit(self._overlay.of(result), frame.pixel_aspect)
        if self._encoder is None:
            from fastsam_trt.sinks.video.encoder import VideoEncoder

            size = image.shape[1], image.shape[0]
            self._encoder = VideoEncoder(
                self._path, self._format, size, self._tick_s, self._rate, self._sound, self._timeline.start_s
            )
        self._encoder.write(image, tick)

    def close(self) -> None:
        """Finish the file.

        Raises:
            OutputStoppedError: There is no space for the end of the file.
        """
        self._finish(hurried=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Finish the file; after a KeyboardInterrupt without the rewrite that moves its index to the front."""
        self._finish(hurried=kind is not None and issubclass(kind, KeyboardInterrupt))

    def _finish(self, *, hurried: bool) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.close(self._timeline.last_ticks(self._find_end_s()), hurried=hurried)
