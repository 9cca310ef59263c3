"""The guard: which requests come from this page, and which from another that a browser happens to have open.

A page of another site can make a browser send requests to any address that it reaches, loopback included. What it
can't do is name itself otherwise in `Origin`, or in `Host` when it has bound its own name to our address (DNS
rebinding). Both are checked on every request; tools that send no `Origin`, such as curl, are no browser and pass.
"""

from __future__ import annotations

import re
import socket

from fastsam_trt.preview.address import Address, as_ip

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


class Guard:
    """Knows the names under which the preview may be asked for.

    The port is not compared: behind a tunnel (`ssh -L 9000:localhost:8080`) it is another one.
    """

    def __init__(self, address: Address) -> None:
        self._names = {"localhost", address.host.casefold()}
        self._any_ip = not address.is_loopback
        if address.is_everywhere:
            own = socket.gethostname().casefold()
            self._names |= {own, own.partition(".")[0], f"{own.partition('.')[0]}.local"}

    def knows(self, host: str | None) -> bool:
        """Whether a `Host` header names this server: as it was written, or as loopback.

        One that other machines reach has as many IP addresses as networks and routers give it, so there any will do.
        """
        match = _HOST.fullmatch(host or "")
        if match is None:
            return False
        name = (match["six"] or match["name"]).casefold()
        literal = as_ip(name)
        if literal is None:
            return name in self._names
        return self._any_ip or literal.is_loopback or name in self._names

    def is_own_page(self, origin: str | None, host: str | None) -> bool:
        """Whether an `Origin` header, if there is one, is that of the server itself, `http` or `https` by a proxy."""
        if origin is None:
            return True
        return host is not None and origin.casefold() in {
            f"{scheme}://{host}".casefold() for scheme in ("http", "https")
        }
