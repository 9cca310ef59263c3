"""CaptureThread: one opening of a camera or stream, on a thread of its own.

Nobody waits longer than they want for a library that can't be interrupted while it opens or reads. The thread answers
when the library returns; one that does not answer is left to itself, and lets go of its device when it can. Only the
end of the process waits for that, as long as the library may take: a thread that came back to an interpreter that is
being taken down would abort it.
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
        """What is known of it."""

    def read(self, *, decode: bool) -> CapturedFrame | Ended | None:
        """Wait for the next frame, whose image is wanted or not; None where there are no more."""

    def close(self) -> None:
        """Let go of it."""


Answer = Opened | Refused | CapturedFrame | Ended | Exception | None
"""None: it gives no more frames. An exception is what went wrong beyond that."""

Answers = SimpleQueue[tuple["CaptureThread | None", Answer]]
"""Answers with who gives them. A `SimpleQueue` may be put to in a signal's handler."""


class CaptureThread:
    """Opens a camera or stream, answers `Opened` or `Refused`, then with a `CapturedFrame` each time it is asked."""

    def __init__(self, open_reader: Callable[[], Reader], answers: Answers) -> None:
        """Begin to open it.

        Args:
            open_reader: Opens it; an `OSError` says why it can't be opened, a `LookupError` what
                it holds in place of a video.
            answers: Where to put the answers.
        """
        self._open = open_reader
        self._answers = answers
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
        """Let go of the device as soon as the library returns; wait so many seconds for that."""
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
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
            self._answers.put((self, error))
        finally:
            if reader is not None:
                reader.close()
            atexit.unregister(self.close)
