"""LiveSource: a camera or stream, with reconnection."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from queue import Empty, SimpleQueue

from fastsam_trt.errors import SourceLostError, SourceUnreadableError, TruncatedSourceError
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.health import SourceHealth
from fastsam_trt.sources.live.camera_reader import CameraReader
from fastsam_trt.sources.live.capture_thread import Answers, CaptureThread, Reader
from fastsam_trt.sources.live.diagnosis import why_absent
from fastsam_trt.sources.live_clock import LiveClock
from fastsam_trt.sources.media_clock import MediaClock
from fastsam_trt.sources.names import hide_password
from fastsam_trt.sources.source import Source
from fastsam_trt.sources.video.reader_events import CapturedFrame, Ended, Opened, Refused

_logger = logging.getLogger(__name__)

_OPEN_S = 10.0  # after which closing may take one more second, and the diagnosis three
_SHORTEST_OPEN_S = 1.0  # for the last attempt to reconnect
_NEARLY = 0.9  # of a time limit: libraries keep theirs roughly
_CLOSE_S = 1.0
_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 5.0
_GRACE_S = 0.25  # added to FFmpeg's own time limit, which should come first: it ends the stream cleanly
_HELD = 20  # more than the frames that a decoder may hold back; H.264 and H.265 allow 16


class LiveSource(Source):
    """A camera, through OpenCV, or a stream at an address, through PyAV.

    A stream that ends, fails or sends no frame for `stall_s` is lost. It is closed and reopened after 0.2 s, then with
    twice the delay per attempt, up to 5 s, until a frame comes or `reconnect_s` have passed. The frame count continues.
    A file at an address, whose size the server reports, ends without reconnection; if the connection is lost before its
    end, it is read again up to the last frame.

    Neither damage nor a change of size ends a stream. Frames have the size in which they are sent.
    """

    kind = "live"

    def __init__(
        self, name: str, target: str | int, vid_stride: int = 1, *, reconnect_s: float, stall_s: float
    ) -> None:
        """Open the camera or stream.

        Args:
            name: Name of the source, as given by the user.
            target: A camera number, or an address.
            vid_stride: Yield every n-th frame.
            reconnect_s: How long to try to reconnect, s; 0: not at all; `math.inf`: forever.
            stall_s: The source is lost if it sends no frame for this time, s.

        Raises:
            SourceNotFoundError: There is no such camera, or nothing at the address.
            SourceUnreachableError: A server does not answer: raised within 15 s, with the reason if it can be found.
            SourceUnreadableError: It answers with something other than a video.
        """
        self._name = hide_password(name)
        self._target = target
        self._stride = vid_stride
        self._reconnect_s = reconnect_s
        self._stall_s = stall_s
        self._answers: Answers = SimpleQueue()
        self._health = SourceHealth()
        self._damage = SourceHealth()  # of the current connection
        self._count = 0
        self._size: tuple[int, int] | None = None
        self._late_at = -math.inf  # the latest frame for which the wait nearly timed out
        self._stalled = False
        self._ended = False
        began_s = time.perf_counter()
        self._reader = self._open(_OPEN_S)
        try:
            opened = self._await(self._reader, _OPEN_S + _GRACE_S)
        except BaseException:
            self._reader.close()
            raise
        if not isinstance(opened, Opened):
            in_vain = time.perf_counter() - began_s > _NEARLY * _OPEN_S
            self._reader.close(_CLOSE_S)
            if isinstance(opened, Refused) and opened.is_there:
                raise SourceUnreadableError(self._name, opened.why)
            raise why_absent(target, _OPEN_S, in_vain=in_vain).error(self._name)
        self._opened = opened
        self.fps = None if opened.fps is None else opened.fps / vid_stride
        self._clock = MediaClock(None, opened.fps) if opened.has_end else LiveClock(opened.began_s)
        self._end_s: float | None = None
        self._last_s = time.perf_counter()

    @property
    def is_image(self) -> bool:
        """Whether the address has a still image rather than a stream."""
        return self._opened.is_image

    @property
    def end_s(self) -> float | None:
        return self._end_s

    @property
    def health(self) -> SourceHealth:
        return self._health + self._damage

    def stop(self) -> None:
        super().stop()
        self._answers.put((None, None))  # wakes a thread that waits for an answer

    def close(self) -> None:
        """Release the device or connection; if the library waits for a frame, as soon as it returns."""
        self.stop()
        self._reader.close(_CLOSE_S)

    def __iter__(self) -> Iterator[Frame]:
        while True:
            index = self._count
            captured = self._next(decode=index % self._stride == 0)
            if captured is None:
                return
            self._count += 1
            self._last_s = captured.captured_s
            media_s = self._media_time(captured)
            self._end_s = self._clock.end(captured.duration_s)
            if captured.image is not None:
                self._note_size(captured.image.shape)
                yield Frame(
                    captured.image,
                    index,
                    self._name,
                    captured_s=captured.captured_s,
                    timestamp_s=captured.timestamp_s,
                    media_s=media_s,
                    pixel_aspect=captured.pixel_aspect,
                )

    def _media_time(self, captured: CapturedFrame) -> float:
        if isinstance(self._clock, MediaClock):
            return self._clock.advance(captured.stream_s)
        return self._clock.advance(captured.stream_s, captured.captured_s, waited=captured.waited)

    def _note_size(self, shape: tuple[int, ...]) -> None:
        size = shape[1], shape[0]
        if self._size is not None and size != self._size:
            _logger.warning(
                "source %r now sends frames of %d x %d px, after %d x %d px", self._name, *size, *self._size
            )
        self._size = size

    def _next(self, *, decode: bool) -> CapturedFrame | None:
        """The next frame, with reconnections; None at the end, and after `stop`."""
        captured = None if self._stopped else self._read_frame(decode=decode)
        if captured is None and not self._stopped and not self._has_ended():
            self._disconnect()
            captured = self._reconnect(decode=decode) if self._reconnect_s > 0 else None
        if self._stopped:
            self._reader.close()  # it may have been opened after another thread called `close`
            return None
        return captured

    def _read_frame(self, *, decode: bool) -> CapturedFrame | None:
        requested_s = time.perf_counter()
        self._reader.request(decode=decode)
        answer = self._await(self._reader, self._stall_s + _GRACE_S)
        if time.perf_counter() - requested_s > _NEARLY * self._stall_s:
            self._late_at = self._count
        self._ended = isinstance(answer, Ended)
        captured = answer if isinstance(answer, CapturedFrame) else None
        if captured is not None:
            self._damage = captured.damage
        # At FFmpeg's timeout the decoder first outputs the frames that it holds.
        self._stalled = answer is None and self._count - self._late_at <= _HELD
        return captured

    def _has_ended(self) -> bool:
        """Whether a source without further frames has ended, rather than being lost."""
        if not self._count:
            found = f"no frame within {self._stall_s:g} s" if self._stalled else "no frame that can be decoded"
            raise SourceUnreadableError(self._name, f"expected a video, found {found}")
        return self._ended

    def _disconnect(self) -> None:
        self._reader.close()
        health = self.health
        self._health = replace(health, losses=health.losses + 1, stalls=health.stalls + self._stalled)
        self._damage = SourceHealth()
        if self._reconnect_s == 0:
            if self._opened.has_end:
                raise TruncatedSourceError(self._name, self._count, None)
            _logger.info("source %r has ended (%s)", self._name, self._describe_loss())

    def _describe_loss(self) -> str:
        return f"no frame for {self._stall_s:g} s" if self._stalled else "the stream ended"

    def _reconnect(self, *, decode: bool) -> CapturedFrame | None:
        """Reopen the source until a frame comes; None if it has ended, and after `stop`."""
        lost_s, found = time.perf_counter(), self._describe_loss()
        how_long = "until it is back" if math.isinf(self._reconnect_s) else f"for {self._reconnect_s:g} s"
        _logger.warning("source %r is lost (%s); reconnecting %s", self._name, found, how_long)
        delay_s = _FIRST_DELAY_S
        while not self._stopped:
            remaining_s = lost_s + self._reconnect_s - time.perf_counter()
            if remaining_s <= 0:
                raise SourceLostError(self._name, self._reconnect_s, found)
            pause_s = min(delay_s, remaining_s)
            self._pause(pause_s)
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
            if self._stopped or self._reader.busy:  # the library still holds the device
                continue
            captured = self._reopen(min(max(remaining_s - pause_s, _SHORTEST_OPEN_S), _OPEN_S), decode=decode)
            if captured is not None:
                health, away_s = self._health, captured.captured_s - self._last_s
                self._health = replace(health, reconnections=health.reconnections + 1, away_s=health.away_s + away_s)
                _logger.warning("source %r is back after %.1f s", self._name, away_s)
            if captured is not None or self._ended:
                return captured
            self._reader.close()
        return None

    def _reopen(self, open_s: float, *, decode: bool) -> CapturedFrame | None:
        self._reader = self._open(open_s)
        if not isinstance(self._await(self._reader, open_s + _GRACE_S), Opened):
            return None
        if isinstance(self._clock, LiveClock):
            self._clock.restart()
        if not self._opened.has_end:
            return self._read_frame(decode=decode)
        for _ in range(self._count):
            if self._read_frame(decode=False) is None:
                return None
        captured = self._read_frame(decode=decode)
        breaks_off = captured is None and not (self._ended or self._stalled or self._stopped)
        if breaks_off:  # at the same frame as before
            raise TruncatedSourceError(self._name, self._count, None)
        return captured

    def _open(self, open_s: float) -> CaptureThread:
        return CaptureThread(lambda: open_reader(self._target, open_s=open_s, read_s=self._stall_s), self._answers)

    def _pause(self, seconds: float) -> None:
        self._await(None, seconds)

    def _await(self, reader: CaptureThread | None, timeout_s: float) -> Opened | Refused | CapturedFrame | Ended | None:
        """An answer of a reader; None if it has no more frames, if none comes in time, and after `stop`."""
        end_s = time.perf_counter() + timeout_s
        while not self._stopped:
            wait_s = min(max(end_s - time.perf_counter(), 0.0), threading.TIMEOUT_MAX)
            try:
                whose, answer = self._answers.get(timeout=wait_s)
            except Empty:
                return None
            if whose is reader and reader is not None:  # others were abandoned
                if isinstance(answer, Exception):
                    raise answer
                return answer
        return None


def open_reader(target: str | int, *, open_s: float, read_s: float) -> Reader:
    """Open a camera or stream.

    Args:
        target: A camera number, or an address.
        open_s: Time limit for opening an address, s.
        read_s: Time limit for a frame, s.

    Raises:
        OSError: It can't be opened.
    """
    if isinstance(target, int):
        return CameraReader(target)
    from fastsam_trt.sources.video.stream_reader import StreamReader  # loads FFmpeg

    return StreamReader(target, open_s=open_s, read_s=read_s)
