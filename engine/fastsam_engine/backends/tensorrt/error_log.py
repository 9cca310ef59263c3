"""ErrorLog: what TensorRT says when something fails, which its calls only return None or False for."""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorrt as trt

    from fastsam_engine.backends.tensorrt.api import TensorRtApi

_logger = logging.getLogger(__name__)

_LONGEST = 400  # characters of a message that are told
_SILENCE = "TensorRT gave no reason"


class Errors:
    """The errors that were logged while somebody listened."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._own: deque[str] = deque(maxlen=8)
        self._others: deque[str] = deque(maxlen=8)

    def add(self, message: str) -> None:
        """Take a message in, on the thread that it was logged on."""
        (self._own if threading.get_ident() == self._thread else self._others).append(message)

    def __bool__(self) -> bool:
        """Whether there were any."""
        return bool(self._own or self._others)

    def __str__(self) -> str:
        """The first message, on one line: it says what failed, and those after it what followed from that.

        One of the listener's thread, if there is any: TensorRT has threads of its own, and so have other callers.
        """
        first = next(iter((*self._own, *self._others)), _SILENCE)
        line = " ".join(first.split())
        return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


class ErrorLog:
    """The logger of one of TensorRT's modules: one for all uses, as the library keeps to the first that it is given.

    Attributes:
        logger: To hand to the module's builders, parsers and runtimes.
    """

    def __init__(self, api: TensorRtApi) -> None:
        # A module that lets nobody listen logs for itself.
        own = getattr(api, "ILogger", None)
        self.logger = api.Logger(api.Logger.INTERNAL_ERROR) if own is None else _trt_logger(own, self)
        self._lock = threading.RLock()  # what garbage collection frees within may log too
        self._listeners: list[Errors] = []

    @contextlib.contextmanager
    def listening(self) -> Iterator[Errors]:
        """Listen to what is logged within."""
        errors = Errors()
        with self._lock:
            self._listeners.append(errors)
        try:
            yield errors
        finally:
            with self._lock:
                self._listeners.remove(errors)

    def record(self, message: str) -> None:
        """Take an error in, from any thread."""
        with self._lock:
            listeners = list(self._listeners)
        for each in listeners:
            each.add(message)
        _logger.log(logging.DEBUG if listeners else logging.WARNING, "TensorRT: %s", message)


_LOGS: weakref.WeakKeyDictionary[Any, ErrorLog] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def error_log(api: TensorRtApi) -> ErrorLog:
    """The error log of a module."""
    with _LOCK:
        if api not in _LOGS:
            _LOGS[api] = ErrorLog(api)
        return _LOGS[api]


def _trt_logger(base: Any, log: ErrorLog) -> trt.ILogger:
    class Logger(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)  # pybind11 wants the base itself called
            self._worst = int(base.ERROR)

        def log(self, severity: Any, msg: str) -> None:
            if int(severity) <= self._worst:
                log.record(msg)

    return Logger()
