"""Video files of the overlay."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from fastsam_engine.store.atomic_files import check_writable
from fastsam_trt.drawing.overlay import Overlay
from fastsam_trt.results.result import Result
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
    """Encodes the overlay of every frame, in the size of the first, at the frame's own time.

    Nothing is written before the first frame. A file can be played up to the last whole image at any time, also
    where the process is killed or the disk is full.
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
        """Prepare.

        Args:
            path: The file; its suffix chooses the container. A pipe or device takes what can be played as it comes.
            fps: Frame rate of frames that have no `media_s`, and of containers that have no times; None: 30.
            overlay: Draws for other sinks too; None: for this one alone.
            sound: File whose sound belongs to the frames, such as `Source.sound`; None: no sound.
            start_s: Media time at which the recording begins, with the first frame; None: that frame's.
            find_end_s: Called at the end: the media time up to which the last frame is shown, as `Source.end_s`; None:
                for the usual time between two frames.

        Raises:
            OutputError: It can't be written, or the suffix is of no container that we write.
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
        """Encode one frame; one that comes too soon after the last for the container is left out.

        Raises:
            OutputError: The file can't be made, or images of this size can't be encoded into it.
            OutputStoppedError: There is no room for it; the file holds the frames before it.
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
            OutputStoppedError: There is no room for its end.
        """
        self._finish(hurried=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Finish the file; after a KeyboardInterrupt without writing it again with its index in front."""
        self._finish(hurried=kind is not None and issubclass(kind, KeyboardInterrupt))

    def _finish(self, *, hurried: bool) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.close(self._timeline.last_ticks(self._find_end_s()), hurried=hurried)
