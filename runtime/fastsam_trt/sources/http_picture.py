"""Still pictures at HTTP addresses."""

from __future__ import annotations

import http.client
import time
import urllib.request

from fastsam_trt.frames.file_type import HEAD_B, sniff
from fastsam_trt.sources.http_probe import as_request
from fastsam_trt.sources.picture_bytes import is_picture, read_picture_bytes
from fastsam_trt.sources.pipe import Peekable

_WAIT_S = 5.0
_LONGEST_S = 60.0


def fetch_picture(name: str, address: str) -> bytes | None:
    """The bytes of the picture at an address; None where there is none, or several in a row.

    Args:
        name: What messages call the address.
        address: An `http` or `https` address.

    Raises:
        SourceUnreadableError: It is larger than is read.
    """
    try:
        with urllib.request.urlopen(_request(address), timeout=_WAIT_S) as answer:  # noqa: S310 - of these schemes only
            if answer.headers.get_content_maintype() in {"multipart", "video"}:
                return None
            body = _Body(answer)
            content = sniff(body.peek(HEAD_B))
            return read_picture_bytes(name, body, content) if is_picture(content) else None
    except (OSError, ValueError, http.client.HTTPException):
        return None


class _Body(Peekable):
    """What a server sends."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        super().__init__()
        self._answer = answer
        self._end_s = time.perf_counter() + _LONGEST_S

    def receive(self, size: int) -> bytes:
        if time.perf_counter() > self._end_s:
            raise TimeoutError
        return self._answer.read1(size)


def _request(address: str) -> urllib.request.Request:
    """A request with the name and password of the address, if it has some."""
    plain, headers = as_request(address)
    request = urllib.request.Request(plain)  # noqa: S310 - only called with http and https
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    return request
