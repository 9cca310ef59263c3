"""HTTP requests: headers for an address, and the status and headers that a server answers with."""

from __future__ import annotations

import base64
import http.client
import string
from urllib.parse import quote, unquote, urlsplit


def request_head(address: str, timeout_s: float) -> http.client.HTTPResponse | None:
    """The status and headers of a server's answer, with the connection closed; None if it does not answer.

    Args:
        address: An `http` or `https` address.
        timeout_s: Time limit for the connection, and again for the answer.
    """
    plain, headers = as_request(address)
    parts = urlsplit(plain)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}", headers=headers)
        return connection.getresponse()
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def as_request(address: str) -> tuple[str, dict[str, str]]:
    """An address for HTTP: percent-encoded, with user name and password moved to the headers."""
    parts = urlsplit(address)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    headers = {}
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    return quote(plain, safe=string.punctuation), headers
