"""Fetch still images over HTTP."""

from __future__ import annotations

import http.client
import time
import urllib.request

from fastsam_trt.frames.file_type import HEAD_B, sniff
from fastsam_trt.sources.live.http_probe import as_request
from fastsam_trt.sources.pipes.image_bytes import is_image, read_image_bytes
from fastsam_trt.sources.pipes.pipe import PeekableStream

_WAIT_S = 5.0
_LONGEST_S = 60.0


def fetch_image(name: str, address: str) -> bytes | None:
    """The bytes of the image at an address; None if there is no image, or a sequence of several.

    Args:
        name: The address as messages show it.
        address: An `http` or `https` address.

    Raises:
        SourceUnreadableError: The image is too large.
    """
    try:
        with urllib.request.urlopen(_request(address), timeout=_WAIT_S) as answer:  # noqa: S310 - http or https only
            if answer.headers.get_content_maintype() in {"multipart", "video"}:
                return None
            body = _Body(answer)
            content = sniff(body.peek(HEAD_B))
            return read_image_bytes(name, body, content) if is_image(content) else None
    except (OSError, ValueError, http.client.HTTPException):
        return None


class _Body(PeekableStream):
    """The body of an HTTP response, with a limit for the time of its transfer."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        super().__init__()
        self._answer = answer
        self._end_s = time.perf_counter() + _LONGEST_S

    def receive(self, size: int) -> bytes:
        if time.perf_counter() > self._end_s:
            raise TimeoutError
        return self._answer.read1(size)


def _request(address: str) -> urllib.request.Request:
    """A request with the user name and password of the address, if it has any."""
    plain, headers = as_request(address)
    request = urllib.request.Request(plain)  # noqa: S310 - http or https only
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    return request
