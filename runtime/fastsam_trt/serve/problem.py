"""ProblemError: why a request has no other answer, in the form of RFC 9457 (`application/problem+json`)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastsam_engine.errors import ClosedError, FastsamError, PackagesMissingError, RequestError
from fastsam_trt.errors import ImageSizeError, MasksTooLargeError, SourceUnreadableError

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)


class ProblemError(Exception):
    """The answer to a request that can't be served.

    Attributes:
        status: HTTP status.
        detail: What was expected and what was found, one line.
        headers: More headers of the answer.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    def body(self) -> bytes:
        """The answer's body."""
        record: dict[str, Any] = {"title": HTTPStatus(self.status).phrase, "status": self.status, "detail": self.detail}
        return json.dumps(record).encode()


class RequestSchemaError(ProblemError):
    """A request that is not as the OpenAPI document says."""

    def __init__(self, field: str, expected: str, found: str) -> None:
        super().__init__(400, f"{field}: expected {expected}, found {found}")


class BusyError(ProblemError):
    """A request for which there is no room now."""

    def __init__(self, status: int, detail: str, retry_s: int) -> None:
        super().__init__(status, f"{detail}; try again in {retry_s} s", {"Retry-After": str(retry_s)})


def problem_of(error: Exception) -> ProblemError:
    """The problem that an error of the work is; one that should not happen is logged."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, ImageSizeError | MasksTooLargeError):
        return ProblemError(413, str(error))
    if isinstance(error, PackagesMissingError):  # HEIC
        return ProblemError(415, str(error))
    if isinstance(error, ClosedError):
        return BusyError(503, "the server ends", 5)
    if isinstance(error, SourceUnreadableError | RequestError):
        return ProblemError(422, str(error))
    _log.error("a request failed", exc_info=error)
    found = str(error) if isinstance(error, FastsamError) else f"unexpected {type(error).__name__}"
    return ProblemError(500, found)
