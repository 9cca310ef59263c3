"""Address: where a server listens; parse it, and listen on it."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from dataclasses import dataclass

from fastsam_trt.errors import ListenError, OptionError

DEFAULT_HOST = "127.0.0.1"
_BACKLOG = 1024  # connections that wait to be accepted; a client beyond these tries again after a second
_FORM = re.compile(r"(?:(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]/\s]*)):)?(?P<port>[0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A host, as the user wrote it, and a port; 0: a free port that the system chooses."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host.casefold() == "localhost":
            return True
        literal = as_ip(self.host)
        return literal is not None and literal.is_loopback

    @property
    def is_everywhere(self) -> bool:
        """Whether it stands for all addresses of the machine."""
        literal = as_ip(self.host)
        return literal is not None and literal.is_unspecified

    @property
    def url(self) -> str:
        """The address of the page for a browser on this machine."""
        literal = as_ip(self.host)
        host = self.host
        if literal is not None and literal.is_unspecified:
            host = "::1" if literal.version == 6 else DEFAULT_HOST
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def parse_address(text: str, option: str = "preview") -> Address:
    """Parse `HOST:PORT`, `[::1]:PORT`, `:PORT` or `PORT`; without a host only this machine can connect.

    Args:
        text: The text.
        option: Name of the option in messages.

    Raises:
        OptionError: The text has none of these forms.
    """
    match = _FORM.fullmatch(text.strip())
    expected = "HOST:PORT or PORT, such as 8080, 127.0.0.1:8080 or [::1]:8080, with a port from 0 to 65535"
    if match is None or int(match["port"]) > 65535:
        raise OptionError(option, expected, text)
    if match["six"] and as_ip(match["six"]) is None:
        raise OptionError(option, expected, text)
    return Address(match["six"] or match["host"] or DEFAULT_HOST, int(match["port"]))


def as_ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parse a host as an IP address; None: it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def listen(address: Address, refusal: type[ListenError]) -> list[socket.socket]:
    """Open a listening socket, or one per address if the host is a name with several, such as `localhost`.

    Args:
        address: Where to listen.
        refusal: Class of the error, which names the option of the address.

    Raises:
        ListenError: The port is in use or not permitted, or the host is not an address of this machine.
    """
    try:
        resolved = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise refusal("a host that has an address", f"{address.host!r} ({error.strerror})") from error
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    for family, target in dict.fromkeys((family, target) for family, _, _, _, target in resolved):
        port = sockets[0].getsockname()[1] if sockets else address.port
        both = family == socket.AF_INET6 and address.is_everywhere and socket.has_dualstack_ipv6()
        try:
            bound = (str(target[0]), port)
            sockets.append(socket.create_server(bound, family=family, backlog=_BACKLOG, dualstack_ipv6=both))
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # one of several of a name
                absent = error
                continue
            for opened in sockets:
                opened.close()
            raise refusal(*_reason(address, error)) from error
    if not sockets:
        raise refusal("an address of this machine", str(address.host)) from absent
    return sockets


def _reason(address: Address, error: OSError) -> tuple[str, str]:
    """What was expected and what was found, if the system refuses an address."""
    if error.errno == errno.EADDRINUSE:
        return "a free port", f"{address} in use"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "a port that this user may open", f"{address} refused ({error.strerror})"
    return "an address to listen on", f"{address} refused ({error.strerror})"
