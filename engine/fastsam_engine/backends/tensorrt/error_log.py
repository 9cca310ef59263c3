"""Collect TensorRT's error messages, since its calls only return None or False when they fail."""

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

    from fastsam_engine.backends.tensorrt.api_protocol import TensorRtApi

_logger = logging.getLogger(__name__)

_LONGEST = 400  # characters of a message that are shown
_SILENCE = "TensorRT gave no reason"


class LoggedErrors:
    """Errors that were logged inside `ErrorLog.listening`."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._own: deque[str] = deque(maxlen=8)
        self._others: deque[str] = deque(maxlen=8)

    def add(self, message: str) -> None:
        """Add a message, on the thread that logged it."""
        (self._own if threading.get_ident() == self._thread else self._others).append(message)

    def __bool__(self) -> bool:
        """Whether there were any."""
        return bool(self._own or self._others)

    def __str__(self) -> str:
        """The first message, on one line: it names the cause, and later ones the consequences.

        Messages of the listener's thread come first, since TensorRT and other callers log on other threads.
        """
        first = next(iter((*self._own, *self._others)), _SILENCE)
        line = " ".join(first.split())
        return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


class ErrorLog:
    """The logger of one of TensorRT's modules. There is one for all uses, since the library keeps the first it gets.

    Attributes:
        logger: For the module's builders, parsers and runtimes.
    """

    def __init__(self, api: TensorRtApi) -> None:
        # A module without ILogger can only log by itself.
        own = getattr(api, "ILogger", None)
        self.logger = api.Logger(api.Logger.INTERNAL_ERROR) if own is None else _trt_logger(own, self)
        self._lock = threading.RLock()  # objects freed by garbage collection inside may log, too
        self._listeners: list[LoggedErrors] = []

    @contextlib.contextmanager
    def listening(self) -> Iterator[LoggedErrors]:
        """Collect what is logged inside the `with` block."""
        errors = LoggedErrors()
        with self._lock:
            self._listeners.append(errors)
        try:
            yield errors
        finally:
            with self._lock:
                self._listeners.remove(errors)

    def record(self, message: str) -> None:
        """Record an error, from any thread."""
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
            base.__init__(self)  # pybind11 requires a direct call of the base
            self._worst = int(base.ERROR)

        def log(self, severity: Any, msg: str) -> None:
            if int(severity) <= self._worst:
                log.record(msg)

    return Logger()
