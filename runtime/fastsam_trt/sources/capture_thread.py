"""CaptureThread: one opening of a camera or stream, on a thread of its own.

OpenCV can't be interrupted while it opens or reads. Here nobody waits for it longer than he wants: who asks waits for
the answer as long as he likes, and leaves a thread that does not answer to itself; it lets go of its device when
OpenCV returns. Only the end of the process waits for that, as long as OpenCV may take: a thread that came back to an
interpreter that is being taken down would abort it.
"""

from __future__ import annotations

import atexit
import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue

import cv2
import numpy as np
from numpy.typing import NDArray

from fastsam_trt.picture import as_bgr

# With frame threads a decoder gives a frame out only after as many more have come in as it has threads: on 16 cores
# half a second of a 30 Hz stream. One thread of a server reads 130 frames a second of 1920 x 1080, 60 of 3840 x 2160.
_DECODER_THREADS = 1
# While one is read the camera fills the other. With a single one it would miss every other frame, with the four that
# are usual a reader that is late gets frames four old.
_CAMERA_BUFFERS = 2
_LONGEST_MS = 2**31 - 1
_EXIT_S = 12.0  # cameras of Linux give up after 10 s


@dataclass(frozen=True, slots=True)
class Opened:
    """What an opened camera or stream says of itself.

    Attributes:
        fps: Frame rate, or what stands in its place.
        frames: How many frames it holds; 0 or less where it does not end.
        size: (H, W) of its frames.
    """

    fps: float
    frames: int
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame that was read.

    Attributes:
        picture: (H, W, 3) uint8 BGR; None where it was not to be decoded.
        captured_s: When it was read, on the clock of `time.perf_counter`.
        timestamp_s: The same as Unix time.
        place_s: Its time by the stream's own clock, seconds; 0 where it has none.
    """

    picture: NDArray[np.uint8] | None
    captured_s: float
    timestamp_s: float
    place_s: float


Answer = Opened | Shot | Exception | None
"""None: it can't be opened, or gives no more frames. An exception is what went wrong beyond that."""

Answers = SimpleQueue[tuple["CaptureThread | None", Answer]]
"""Answers with who gives them. A `SimpleQueue` may be put to in a signal's handler."""


class CaptureThread:
    """Opens a camera or stream, answers `Opened`, then with a `Shot` each time it is asked."""

    def __init__(self, target: str | int, answers: Answers, *, open_s: float, read_s: float) -> None:
        """Begin to open it.

        Args:
            target: A camera's number, or an address.
            answers: Where to put the answers.
            open_s: After how many seconds FFmpeg gives up opening an address.
            read_s: The same for a frame.
        """
        self._target = target
        self._answers = answers
        self._timeouts_ms = [max(round(min(each_s * 1e3, _LONGEST_MS)), 1) for each_s in (open_s, read_s)]
        self._requests: SimpleQueue[bool | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="source capture", daemon=True)
        atexit.register(self.close, _EXIT_S)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether it still holds its device."""
        return self._thread.is_alive()

    def ask(self, *, decode: bool) -> None:
        """Ask for the next frame, decoded or only passed over."""
        self._requests.put(decode)

    def close(self, wait_s: float = 0.0) -> None:
        """Let go of the device as soon as OpenCV returns; wait so many seconds for that."""
        self._requests.put(None)
        self._thread.join(wait_s)

    def _serve(self) -> None:
        capture = None
        try:
            capture = self._open()
            if not capture.isOpened():
                capture.release()  # before the answer: who hears it may look for who holds the device
                self._answers.put((self, None))
                return
            self._answers.put((self, _describe(capture)))
            while (decode := self._requests.get()) is not None:
                self._answers.put((self, _shoot(capture, decode)))
        except cv2.error:
            self._answers.put((self, None))
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
            self._answers.put((self, error))
        finally:
            if capture is not None:
                capture.release()
            atexit.unregister(self.close)

    def _open(self) -> cv2.VideoCapture:
        if isinstance(self._target, int):
            capture = cv2.VideoCapture(self._target)
            capture.set(cv2.CAP_PROP_BUFFERSIZE, _CAMERA_BUFFERS)  # where its driver has buffers
            return capture
        open_ms, read_ms = self._timeouts_ms
        return cv2.VideoCapture(
            self._target,
            cv2.CAP_FFMPEG,
            [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, open_ms),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, read_ms),
                *(cv2.CAP_PROP_N_THREADS, _DECODER_THREADS),
            ],
        )


def _describe(capture: cv2.VideoCapture) -> Opened:
    height, width = (int(capture.get(each)) for each in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    return Opened(capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), (height, width))


def _shoot(capture: cv2.VideoCapture, decode: bool) -> Shot | None:
    if not capture.grab():
        return None
    captured_s, timestamp_s = time.perf_counter(), time.time()
    place_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
    if not decode:
        return Shot(None, captured_s, timestamp_s, place_s)
    good, picture = capture.retrieve()
    return Shot(as_bgr(picture), captured_s, timestamp_s, place_s) if good else None
