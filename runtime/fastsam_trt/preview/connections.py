"""Connections: how many the preview keeps open, and for how long, so that none of them costs the run anything."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import math
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

MOST = 64  # a browser opens six, and one for each page that watches
MOST_OF_ONE = 32  # of another machine; those of this one may be a proxy's or a tunnel's
REQUEST_WITHIN_S = 5.0  # from the connection to the end of its first request's headers
ANSWER_WITHIN_S = 10.0  # from there to the answer's end, and to the next request
_LOOK_EVERY_S = 0.5
_RETRY_S = 0.5
_SHARE = 4  # of the descriptors that a process may have, one in so many
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Connection:
    """An open connection, which ends at a time of the event loop's clock; `math.inf`: it is in use."""

    transport: asyncio.Transport
    socket: socket.socket
    host: str
    ends_s: float


class Connections:
    """Takes connections, and ends those that overstay; all of it on the event loop's thread.

    A new one that would be one too many takes the place of the idle one that would end next. Where all are in use it is
    refused.
    """

    def __init__(self) -> None:
        self._open: dict[asyncio.BaseTransport, _Connection] = {}
        self._most = min(MOST, _most_descriptors() // _SHARE)
        self._was_told = False

    def __len__(self) -> int:
        return sum(each.socket.fileno() >= 0 for each in self._open.values())

    def allow(self, transport: asyncio.BaseTransport | None, seconds: float) -> None:
        """Let a connection go on for so many seconds from now; `math.inf`: it is in use, until this is called again."""
        found = None if transport is None else self._open.get(transport)
        if found is not None:
            found.ends_s = asyncio.get_running_loop().time() + seconds

    async def accept(self, listening: socket.socket, serve: Callable[[], asyncio.Protocol]) -> None:
        """Take the connections of a listening socket, for ever.

        Args:
            listening: The socket.
            serve: Makes what serves a connection.
        """
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        while True:
            try:
                client, address = await loop.sock_accept(listening)
            except OSError as error:  # while there are no descriptors it would fail again at once
                self._note(error)
                await asyncio.sleep(_RETRY_S)
                continue
            host = str(address[0])
            if not self._make_room(host):
                _refuse(client)
                continue
            try:
                transport, _ = await loop.connect_accepted_socket(serve, client)
            except OSError:  # it is gone already
                client.close()
                continue
            self._open[transport] = _Connection(transport, client, host, loop.time() + REQUEST_WITHIN_S)

    async def expire(self) -> None:
        """End connections whose time is up, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            self._forget()
            for each in self._open.values():
                if each.ends_s <= loop.time():
                    each.transport.abort()  # what it has not read is dropped

    def _make_room(self, host: str) -> bool:
        self._forget()
        kept = list(self._open.values())
        own = [] if _is_loopback(host) else [each for each in kept if each.host == host]
        if len(own) >= min(MOST_OF_ONE, self._most // 2):
            return _end_next(own)
        return len(kept) < self._most or _end_next(kept)

    def _forget(self) -> None:
        self._open = {transport: each for transport, each in self._open.items() if each.socket.fileno() >= 0}

    def _note(self, error: OSError) -> None:
        if error.errno in _EXHAUSTED:
            _end_next(list(self._open.values()))  # the run may be the one that lacks it
        if not self._was_told:
            self._was_told = True
            _log.warning("the preview can't take a connection (%s); it goes on trying", error.strerror)


def _end_next(connections: list[_Connection]) -> bool:
    """End the idle connection that would end next; False: none is idle."""
    idle = [each for each in connections if each.ends_s < math.inf and each.socket.fileno() >= 0]
    if not idle:
        return False
    least = min(idle, key=lambda each: each.ends_s)
    least.ends_s = -math.inf
    least.transport.abort()
    return True


def _refuse(client: socket.socket) -> None:
    with client, suppress(OSError):
        client.setblocking(False)
        client.send(_BUSY)


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return bool((mapped or address).is_loopback)
    return False


def _most_descriptors() -> int:
    if sys.platform == "win32":
        return MOST * _SHARE
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST * _SHARE if soft == resource.RLIM_INFINITY else soft
