"""Where the preview listens."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from dataclasses import dataclass

from fastsam_trt.errors import OptionError, PreviewError

DEFAULT_HOST = "127.0.0.1"
_BACKLOG = 1024  # connections that wait to be taken; a client whose connection finds no room tries again after a second
_FORM = re.compile(r"(?:(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]/\s]*)):)?(?P<port>[0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A host, as it was written, and a port; 0: one that the system chooses."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host.casefold() == "localhost":
            return True
        literal = as_ip(self.host)
        return literal is not None and literal.is_loopback

    @property
    def is_everywhere(self) -> bool:
        """Whether it stands for every address of the machine."""
        literal = as_ip(self.host)
        return literal is not None and literal.is_unspecified

    @property
    def url(self) -> str:
        """Of the page, for a browser on this machine."""
        literal = as_ip(self.host)
        host = self.host
        if literal is not None and literal.is_unspecified:
            host = "::1" if literal.version == 6 else DEFAULT_HOST
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `HOST:PORT`, `[::1]:PORT`, `:PORT` or `PORT`; without a host only this machine is served.

    Raises:
        OptionError: It is none of these.
    """
    match = _FORM.fullmatch(text.strip())
    expected = "HOST:PORT or PORT, such as 8080, 127.0.0.1:8080 or [::1]:8080, with a port from 0 to 65535"
    if match is None or int(match["port"]) > 65535:
        raise OptionError("preview", expected, text)
    if match["six"] and as_ip(match["six"]) is None:
        raise OptionError("preview", expected, text)
    return Address(match["six"] or match["host"] or DEFAULT_HOST, int(match["port"]))


def as_ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that a host is written as; None: it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def listen(address: Address) -> list[socket.socket]:
    """Open sockets that listen: one, or one for each of the addresses that a name such as `localhost` has.

    Raises:
        PreviewError: The port is taken or not ours to take, or the host is no address of this machine.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise PreviewError("a host that has an address", f"{address.host!r} ({error.strerror})") from error
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    for family, place in dict.fromkeys((family, place) for family, _, _, _, place in found):
        port = sockets[0].getsockname()[1] if sockets else address.port
        both = family == socket.AF_INET6 and address.is_everywhere and socket.has_dualstack_ipv6()
        try:
            where = (str(place[0]), port)
            sockets.append(socket.create_server(where, family=family, backlog=_BACKLOG, dualstack_ipv6=both))
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # a name may have more than the machine has
                absent = error
                continue
            for opened in sockets:
                opened.close()
            raise _refusal(address, error) from error
    if not sockets:
        raise PreviewError("an address of this machine", str(address.host)) from absent
    return sockets


def _refusal(address: Address, error: OSError) -> PreviewError:
    if error.errno == errno.EADDRINUSE:
        return PreviewError("a free port", f"{address} in use")
    if error.errno in (errno.EACCES, errno.EPERM):
        return PreviewError("a port that this user may open", f"{address} refused ({error.strerror})")
    return PreviewError("an address to listen at", f"{address} refused ({error.strerror})")
