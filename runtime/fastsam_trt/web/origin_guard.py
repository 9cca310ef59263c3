"""Refuse requests that pages of other sites make.

A page of another site can make a browser send requests to any address that the browser reaches, including loopback.
But it cannot forge `Origin`, nor `Host` if it points its own name at our address (DNS rebinding). Both headers are
checked on every request. Tools that send no `Origin`, such as curl, are not browsers and are accepted.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable

from fastsam_trt.web.address import Address, as_ip

_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


class OriginGuard:
    """Checks the `Host` and `Origin` headers of requests.

    Ports are not compared: behind a tunnel (`ssh -L 9000:localhost:8080`) the browser uses another port.
    """

    def __init__(self, address: Address, hosts: Iterable[str] = ()) -> None:
        """Create the checks.

        Args:
            address: Where the server listens.
            hosts: More names of the server.
        """
        self._names = {"localhost", address.host.casefold(), *(host.casefold() for host in hosts)}
        self._any_ip = not address.is_loopback
        if address.is_everywhere:
            hostname = socket.gethostname().casefold()
            short = hostname.partition(".")[0]
            self._names |= {hostname, short, f"{short}.local"}

    def accepts_host(self, host: str | None) -> bool:
        """Whether a `Host` header names this server: by the host it was given, or as loopback.

        If other machines can reach it, networks and routers may give it any IP address, so all are accepted.
        """
        match = _HOST.fullmatch(host or "")
        if match is None:
            return False
        name = (match["six"] or match["name"]).casefold()
        literal = as_ip(name)
        if literal is None:
            return name in self._names
        return self._any_ip or literal.is_loopback or name in self._names

    def accepts_origin(self, origin: str | None, host: str | None) -> bool:
        """Whether an `Origin` header is absent or names the server itself, by `http`, or by `https` behind a proxy."""
        if origin is None:
            return True
        return host is not None and origin.casefold() in {
            f"{scheme}://{host}".casefold() for scheme in ("http", "https")
        }
