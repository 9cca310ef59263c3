"""Limit the number and duration of a server's connections, so that clients cannot exhaust the process."""

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

_CHECK_EVERY_S = 0.5
_RETRY_S = 0.5
_DESCRIPTOR_SHARE = 4  # one in this many of the file descriptors that a process may open
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections a server keeps, and for how long.

    Attributes:
        most: Most connections; a browser opens up to six, and one more per open page.
        per_host: Most connections of one host, except this machine, whose may be those of a proxy or tunnel.
        request_within_s: From connecting to the end of the first request's headers.
        answer_within_s: From there, or from the answer of the server, until the client has read the answer, and until
            the next request.
    """

    most: int = 64
    per_host: int = 32
    request_within_s: float = 5.0
    answer_within_s: float = 10.0


@dataclass(slots=True, eq=False)
class _Connection:
    """An open connection.

    Attributes:
        expires_s: When it is ended, on the event loop's clock; `math.inf`: it is in use.
    """

    transport: asyncio.Transport
    socket: socket.socket
    host: str
    expires_s: float


class Connections:
    """Accepts connections and ends those that take too long, on the event loop's thread.

    At the limit, a new connection replaces the idle one that would expire next; if all are in use it is refused.

    Attributes:
        limits: How many connections, and for how long.
    """

    def __init__(self, limits: ConnectionLimits, owner: str) -> None:
        """Start without connections.

        Args:
            limits: How many connections, and for how long.
            owner: Name of the server in messages, such as `the preview`.
        """
        self.limits = limits
        self._owner = owner
        self._open: dict[asyncio.BaseTransport, _Connection] = {}
        self._most = min(limits.most, _descriptor_limit(limits.most) // _DESCRIPTOR_SHARE)
        self._has_warned = False

    def __len__(self) -> int:
        return sum(connection.socket.fileno() >= 0 for connection in self._open.values())

    def extend(self, transport: asyncio.BaseTransport | None, seconds: float) -> None:
        """Let a connection last for `seconds` from now; `math.inf`: it is in use until the next call."""
        connection = None if transport is None else self._open.get(transport)
        if connection is not None:
            connection.expires_s = asyncio.get_running_loop().time() + seconds

    async def accept(self, listening: socket.socket, serve: Callable[[], asyncio.Protocol]) -> None:
        """Accept the connections of a listening socket until cancelled.

        Args:
            listening: The socket.
            serve: Creates the protocol that serves a connection.
        """
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        while True:
            try:
                client, address = await loop.sock_accept(listening)
            except OSError as error:  # without free descriptors it would fail again at once
                self._handle_failure(error)
                await asyncio.sleep(_RETRY_S)
                continue
            host = str(address[0])
            if not self._make_room(host):
                _refuse(client)
                continue
            try:
                transport, _ = await loop.connect_accepted_socket(serve, client)
            except OSError:  # the client has disconnected
                client.close()
                continue
            self._open[transport] = _Connection(transport, client, host, loop.time() + self.limits.request_within_s)

    async def expire(self) -> None:
        """End expired connections until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_CHECK_EVERY_S)
            self._remove_closed()
            for connection in self._open.values():
                if connection.expires_s <= loop.time():
                    connection.transport.abort()  # drops what the client has not read

    def _make_room(self, host: str) -> bool:
        self._remove_closed()
        connections = list(self._open.values())
        same_host = [] if _is_loopback(host) else [connection for connection in connections if connection.host == host]
        if len(same_host) >= min(self.limits.per_host, self._most // 2):
            return _end_next_idle(same_host)
        return len(connections) < self._most or _end_next_idle(connections)

    def _remove_closed(self) -> None:
        self._open = {
            transport: connection for transport, connection in self._open.items() if connection.socket.fileno() >= 0
        }

    def _handle_failure(self, error: OSError) -> None:
        if error.errno in _EXHAUSTED:
            _end_next_idle(list(self._open.values()))  # the run may need the descriptor
        if not self._has_warned:
            self._has_warned = True
            _log.warning("%s can't accept a connection (%s); it keeps trying", self._owner, error.strerror)


def _end_next_idle(connections: list[_Connection]) -> bool:
    """End the idle connection that would expire next; False: none is idle."""
    idle = [one for one in connections if one.expires_s < math.inf and one.socket.fileno() >= 0]
    if not idle:
        return False
    next_idle = min(idle, key=lambda one: one.expires_s)
    next_idle.expires_s = -math.inf
    next_idle.transport.abort()
    return True


def _refuse(client: socket.socket) -> None:
    with client, suppress(OSError):
        client.setblocking(False)
        client.send(_REFUSAL)


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return bool((mapped or address).is_loopback)
    return False


def _descriptor_limit(most: int) -> int:
    """How many file descriptors the process may open; enough for `most` connections if there is no limit."""
    if sys.platform == "win32":
        return most * _DESCRIPTOR_SHARE
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most * _DESCRIPTOR_SHARE if soft == resource.RLIM_INFINITY else soft
