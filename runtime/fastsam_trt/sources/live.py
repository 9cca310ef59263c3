"""LiveSource: a camera or stream, sought again when it is lost."""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TypeVar

from fastsam_trt.errors import SourceLostError, SourceNotFoundError, SourceUnreadableError, TruncatedSourceError
from fastsam_trt.sources.absence import hide_password, why_absent
from fastsam_trt.sources.capture import HEADER_SLACK
from fastsam_trt.sources.capture_thread import Answers, CaptureThread, Opened, Shot
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.health import SourceHealth
from fastsam_trt.sources.http_answer import holds_file
from fastsam_trt.sources.source import Source

_logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer", Opened, Shot)

_OPEN_S = 10.0
_CLOSE_S = 1.0
_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 5.0
_GRACE_S = 0.25  # FFmpeg's own time limit comes first: it leaves the stream in order
_HELD = 20  # frames that a decoder may hold back; 16 are what H.264 and H.265 allow
_LOOK_S = 2.0
_BACK_S = 0.5  # what a stream's clock may be set right by


class LiveSource(Source):
    """A camera or stream, through OpenCV.

    A stream that ends, fails or gives no frame for `stall_s` is lost: it is closed and opened again, after 0.2 s, then
    after twice as long each time up to 5 s, until a frame comes or `reconnect_s` have passed. Frames go on being
    counted, in order. The HTTP address of a file ends where that ends; a video of known length that is lost before it
    is read again up to where it was.

    OpenCV scales a stream that changes its size under way to its first size, and does not tell. A sender that begins
    anew shows by its clock going back: its size is then looked at through a second connection, and that one is read
    on where it is another. A change of size without that, in the middle of one connection, goes unnoticed.
    """

    kind = "live"

    def __init__(
        self, name: str, target: str | int, vid_stride: int = 1, *, reconnect_s: float, stall_s: float
    ) -> None:
        """Open it.

        Args:
            name: What the user called it.
            target: A camera's number, or an address.
            vid_stride: Take every n-th frame.
            reconnect_s: How long it is sought when it is lost; 0: its end is the end; `math.inf`: for ever.
            stall_s: It is lost when it gives no frame for so long.

        Raises:
            SourceNotFoundError: It does not answer. Why is said where it can be told.
        """
        self._name = hide_password(name)
        self._target = target
        self._stride = vid_stride
        self._reconnect_s = reconnect_s
        self._stall_s = stall_s
        self._answers: Answers = SimpleQueue()
        self._health = SourceHealth()
        self._count = 0
        self._late_at = -math.inf  # the last frame that was waited for as long as may be
        self._stalled = False
        self._alone = isinstance(target, int)  # whether it takes no second reader
        self._reader = self._begin(_OPEN_S)
        try:
            opened = self._await(self._reader, _OPEN_S + _GRACE_S, Opened)
        except BaseException:
            self._reader.close()
            raise
        if opened is None:
            self._reader.close(_CLOSE_S)
            raise SourceNotFoundError(self._name, "a camera or stream that answers", why_absent(target, _OPEN_S))
        self.fps = opened.fps / vid_stride if 0 < opened.fps < 1000 else None
        self._size = opened.size
        self._http = target if isinstance(target, str) and re.match("https?://", target) else None
        self._promised = opened.frames if self._http and opened.frames > 0 else None
        self._last_s = time.perf_counter()
        self._place_s = 0.0

    @property
    def health(self) -> SourceHealth:
        return self._health

    def stop(self) -> None:
        super().stop()
        self._answers.put((None, None))  # wakes who waits for an answer

    def close(self) -> None:
        """Let go of it; where OpenCV waits for a frame, as soon as that has come or its time is up."""
        self.stop()
        self._reader.close(_CLOSE_S)

    def __iter__(self) -> Iterator[Frame]:
        while True:
            index = self._count
            shot = self._next(decode=index % self._stride == 0)
            if shot is None:
                return
            self._count += 1
            self._last_s, self._place_s = shot.captured_s, shot.place_s
            if shot.picture is not None:
                yield Frame(shot.picture, index, self._name, shot.captured_s, shot.timestamp_s)

    def _next(self, *, decode: bool) -> Shot | None:
        """The next frame, over losses; None at the end, and where it was stopped."""
        shot = None if self._stopped else self._shoot(decode=decode)
        if shot is not None and shot.place_s < self._place_s - _BACK_S and self._has_another_size():
            shot = self._shoot(decode=decode)
        if shot is None and not self._stopped and not self._has_ended():
            self._lose()
            shot = self._seek(decode=decode) if self._reconnect_s > 0 else None
        if self._stopped:
            self._reader.close()  # it may have been begun after `close` was called from another thread
            return None
        return shot

    def _shoot(self, *, decode: bool) -> Shot | None:
        asked_s = time.perf_counter()
        self._reader.ask(decode=decode)
        shot = self._await(self._reader, self._stall_s + _GRACE_S, Shot)
        if time.perf_counter() - asked_s > 0.9 * self._stall_s:
            self._late_at = self._count
        # When FFmpeg's time is up the decoder first gives out the frames that it held.
        self._stalled = shot is None and self._count - self._late_at <= _HELD
        return shot

    def _has_ended(self) -> bool:
        """Whether what gives no more frames is at its end, rather than lost."""
        if not self._count:
            found = f"no frame within {self._stall_s:g} s" if self._stalled else "no frame that can be decoded"
            raise SourceUnreadableError(self._name, f"expected a video, found {found}")
        if self._promised is not None:
            return self._count >= self._promised - HEADER_SLACK
        return self._http is not None and not self._stalled and holds_file(self._http)

    def _lose(self) -> None:
        self._reader.close()
        health = self._health
        self._health = replace(health, losses=health.losses + 1, stalls=health.stalls + self._stalled)
        if self._reconnect_s == 0:
            if self._promised is not None:
                raise TruncatedSourceError(self._name, self._count, self._promised)
            _logger.info("source %r has ended (%s)", self._name, self._describe_loss())

    def _describe_loss(self) -> str:
        return f"no frame for {self._stall_s:g} s" if self._stalled else "the stream ended"

    def _seek(self, *, decode: bool) -> Shot | None:
        """Open it again until a frame comes; None where it was stopped."""
        lost_s, found = time.perf_counter(), self._describe_loss()
        how_long = "until it is back" if math.isinf(self._reconnect_s) else f"for {self._reconnect_s:g} s"
        _logger.warning("source %r is lost (%s); trying again %s", self._name, found, how_long)
        delay_s = _FIRST_DELAY_S
        while not self._stopped:
            left_s = lost_s + self._reconnect_s - time.perf_counter()
            if left_s <= 0:
                raise SourceLostError(self._name, self._reconnect_s, found)
            self._pause(min(delay_s, left_s))
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
            if self._stopped or self._reader.busy:  # OpenCV has not yet let go of it
                continue
            shot = self._reopen(min(left_s, _OPEN_S), decode=decode)
            if shot is not None:
                health, away_s = self._health, shot.captured_s - self._last_s
                self._health = replace(health, reconnections=health.reconnections + 1, away_s=health.away_s + away_s)
                _logger.warning("source %r is back after %.1f s", self._name, away_s)
                return shot
            self._reader.close()
        return None

    def _reopen(self, open_s: float, *, decode: bool) -> Shot | None:
        self._reader = self._begin(open_s)
        opened = self._await(self._reader, open_s + _GRACE_S, Opened)
        if opened is None:
            return None
        self._size = opened.size
        if self._promised is None:
            return self._shoot(decode=decode)
        for _ in range(self._count):
            if self._shoot(decode=False) is None:
                return None
        shot = self._shoot(decode=decode)
        if shot is None and not self._stalled and not self._stopped:  # it ends where it ended before
            raise TruncatedSourceError(self._name, self._count, self._promised)
        return shot

    def _has_another_size(self) -> bool:
        """Look at the stream through a second connection; read that one where its frames have another size."""
        if self._alone or self._promised is not None:
            return False
        second = self._begin(_LOOK_S)
        opened = self._await(second, _LOOK_S, Opened)
        if opened is not None and opened.size != self._size:
            _logger.warning(
                "source %r now sends frames of %d x %d px, before %d x %d",
                *(self._name, *reversed(opened.size), *reversed(self._size)),
            )
            self._reader.close()
            self._reader, self._size = second, opened.size
            return True
        second.close()
        if opened is None and not self._stopped:
            self._alone = True
            _logger.warning(
                "source %r has begun anew and takes no second reader; if its frames have another size than before, "
                "OpenCV scales them to %d x %d px",
                *(self._name, *reversed(self._size)),
            )
        return False

    def _begin(self, open_s: float) -> CaptureThread:
        return CaptureThread(self._target, self._answers, open_s=open_s, read_s=self._stall_s)

    def _pause(self, seconds: float) -> None:
        self._await(None, seconds, Shot)

    def _await(self, reader: CaptureThread | None, timeout_s: float, expected: type[_Answer]) -> _Answer | None:
        """An answer of a reader; None where it has none, where none comes in time, and where it was stopped."""
        end_s = time.perf_counter() + timeout_s
        while not self._stopped:
            wait_s = min(max(end_s - time.perf_counter(), 0.0), threading.TIMEOUT_MAX)
            try:
                whose, answer = self._answers.get(timeout=wait_s)
            except Empty:
                return None
            if whose is reader and reader is not None:  # others were given up
                if isinstance(answer, Exception):
                    raise answer
                return answer if isinstance(answer, expected) else None
        return None
