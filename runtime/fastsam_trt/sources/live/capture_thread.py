"""CaptureThread: open and read a camera or stream on a separate thread.

The libraries can't be interrupted while they open or read. So they run on a thread, and callers wait for its answers
with a timeout. A thread that does not answer in time is abandoned; it releases its device as soon as the library
returns. At exit the process waits for such threads: one that returned to an interpreter during shutdown would abort it.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

from fastsam_trt.sources.video.reader_events import CapturedFrame, Ended, Opened, Refused

_EXIT_S = 12.0  # cameras of Linux give up after 10 s


class Reader(Protocol):
    """An open camera or stream."""

    @property
    def opened(self) -> Opened:
        """What is known about it."""

    def read(self, *, decode: bool) -> CapturedFrame | Ended | None:
        """Wait for the next frame, decoded or not; None if there are no more."""

    def close(self) -> None:
        """Release it."""


Answer = Opened | Refused | CapturedFrame | Ended | Exception | None
"""None: there are no more frames. An exception: an unexpected error."""

Answers = SimpleQueue[tuple["CaptureThread | None", Answer]]
"""Answers with their threads. A `SimpleQueue`, since signal handlers may put to it."""


class CaptureThread:
    """Opens a camera or stream and answers `Opened` or `Refused`, then a `CapturedFrame` per request."""

    def __init__(self, open_reader: Callable[[], Reader], answers: Answers) -> None:
        """Begin to open the camera or stream.

        Args:
            open_reader: Opens it. Raises `OSError` with the reason if it can't be opened, `LookupError` if it contains
                something other than a video.
            answers: Queue for the answers.
        """
        self._open = open_reader
        self._answers = answers
        self._requests: SimpleQueue[bool | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="source capture", daemon=True)
        atexit.register(self.close, _EXIT_S)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether the thread still holds its device."""
        return self._thread.is_alive()

    def request(self, *, decode: bool) -> None:
        """Request the next frame, decoded or only skipped."""
        self._requests.put(decode)

    def close(self, wait_s: float = 0.0) -> None:
        """Release the device as soon as the library returns; wait for that for at most `wait_s` seconds."""
        self._requests.put(None)
        self._thread.join(wait_s)

    def _serve(self) -> None:
        reader = None
        try:
            try:
                reader = self._open()
            except (OSError, LookupError) as error:
                self._answers.put((self, Refused(str(error), is_there=isinstance(error, LookupError))))
                return
            self._answers.put((self, reader.opened))
            while (decode := self._requests.get()) is not None:
                self._answers.put((self, reader.read(decode=decode)))
        except Exception as error:  # noqa: BLE001 - raised by the thread that waits for the answer
            self._answers.put((self, error))
        finally:
            if reader is not None:
                reader.close()
            atexit.unregister(self.close)
