"""BodyReader: read bodies within limits of size, time and memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from fastsam_trt.serve.limits import Limits
from fastsam_trt.serve.problem import BusyError, ProblemError

_FIRST_S = 10.0
_LEAST_RATE = 16 * 1024  # bytes per second after the first seconds
_LONGEST_S = 120.0
_RETRY_S = 2


class BodyReader:
    """Reads the bodies of requests, on the event loop's thread.

    A body that comes slower than 16 KiB per second is given up, and so is one that would make all bodies in memory
    larger than their limit.

    Attributes:
        held_bytes: Bytes of all bodies that are in memory.
        received_bytes: Bytes that were ever received.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._reading = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.held_bytes = 0
        self.received_bytes = 0

    async def read(self, request: web.Request, extend: Callable[[float], None]) -> bytes:
        """Read a body. The caller calls `release` with its length once it is dropped.

        Args:
            request: The request.
            extend: Called with how long the body may still take, s.

        Raises:
            ProblemError: It is too large (413), too slow (408) or cut off (400), or there is no room for it (503).
        """
        if (request.content_length or 0) > self._limits.body_bytes:
            raise self.too_large()
        chunks: list[bytes] = []
        self._reading += 1
        self._idle.clear()
        try:
            await self._receive(request, extend, chunks)
        except BaseException as error:
            self.release(sum(map(len, chunks)))
            if isinstance(error, TimeoutError):
                raise ProblemError(408, "expected the whole body in time, found a slow one") from error
            if isinstance(error, web.RequestPayloadError):
                raise ProblemError(400, "expected the whole body, found that it is cut off or badly framed") from error
            raise
        finally:
            self._reading -= 1
            if not self._reading:
                self._idle.set()
        return b"".join(chunks)

    async def finish(self, within_s: float) -> None:
        """Wait until no body is being read, or until some time has passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._idle.wait()

    def release(self, length: int) -> None:
        """Note that a body is no longer in memory."""
        self.held_bytes -= length

    def too_large(self) -> ProblemError:
        """The problem of a body that is too large."""
        return ProblemError(413, f"expected a body of at most {self._limits.body_bytes} bytes, found a larger one")

    async def _receive(self, request: web.Request, extend: Callable[[float], None], chunks: list[bytes]) -> None:
        loop = asyncio.get_running_loop()
        begun_s, length = loop.time(), 0
        while True:
            remaining_s = begun_s + _allowed_s(length) - loop.time()
            extend(max(remaining_s, 0.0))
            async with asyncio.timeout(remaining_s):
                chunk = await request.content.readany()
            if not chunk:
                return
            chunks.append(chunk)
            length += len(chunk)
            self.held_bytes += len(chunk)
            self.received_bytes += len(chunk)
            if length > self._limits.body_bytes:
                raise self.too_large()
            if self.held_bytes > self._limits.all_bodies_bytes:
                raise BusyError(503, "expected room for the body, found that too many are being received", _RETRY_S)


def _allowed_s(length: int) -> float:
    """How long a body may take of which some bytes have come."""
    return min(_FIRST_S + length / _LEAST_RATE, _LONGEST_S)
